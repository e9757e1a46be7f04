"""Builds and parses topic names. No other module knows the topics below the root."""

import re
from functools import lru_cache

from gateway.contract.errors import ProtocolViolation, RequestRejected

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

MAX_KEPT = 128
"""Number of topics of requests and of replies that are not built again for each request."""


def checked_name(name: str) -> str:
    """Return `name` if it is a valid name in a topic: 1 to 64 characters of `[A-Za-z0-9_.-]`.

    Otherwise raises RequestRejected: `+`, `#` and `/` would address other clients. Source: MQTT 5.0, 4.7.
    """
    if not NAME.fullmatch(name):
        raise RequestRejected(f"{name[:80]!r} is no name: 1 to 64 characters of A-Z a-z 0-9 _ . -")
    return name


def checked_root(root: str) -> str:
    """Return `root` if each of its levels is a valid name. Otherwise raises RequestRejected."""
    for level in root.split("/"):
        checked_name(level)
    return root


@lru_cache(maxsize=MAX_KEPT)
def inbox_topic(root: str, worker: str) -> str:
    """Return the topic of a worker's requests and cancels. Raises RequestRejected for an invalid name."""
    return f"{root}/workers/{checked_name(worker)}/inbox"


def worker_status_topic(root: str, worker: str) -> str:
    """Return the topic of a worker's status and will. Raises RequestRejected for an invalid name."""
    return f"{root}/workers/{checked_name(worker)}/status"


def gateway_status_topic(root: str, gateway: str) -> str:
    """Return the topic of a gateway's status and will. Raises RequestRejected for an invalid name."""
    return f"{root}/gateways/{checked_name(gateway)}/status"


@lru_cache(maxsize=MAX_KEPT)
def reply_topic(root: str, gateway: str, worker: str) -> str:
    """Return the topic of one worker's replies to one gateway. Raises RequestRejected for an invalid name."""
    return f"{root}/gateways/{checked_name(gateway)}/replies/{checked_name(worker)}"


def up_topic(root: str, device: str) -> str:
    """Return the topic of a device's chats. Raises RequestRejected for an invalid name."""
    return f"{root}/devices/{checked_name(device)}/up"


def down_topic(root: str, device: str) -> str:
    """Return the topic of answers and mirrored replies to a device. Raises RequestRejected."""
    return f"{root}/devices/{checked_name(device)}/down"


def device_status_topic(root: str, device: str) -> str:
    """Return the topic of a device's status and will. Raises RequestRejected for an invalid name."""
    return f"{root}/devices/{checked_name(device)}/status"


def every_chat(root: str) -> str:
    """Return the topic filter for the chats of all devices."""
    return f"{root}/devices/+/up"


def every_chat_cancel(root: str) -> str:
    """Return the topic filter for the cancels of all devices."""
    return f"{root}/devices/+/cancel"


def every_device_status(root: str) -> str:
    """Return the topic filter for the status of all devices."""
    return f"{root}/devices/+/status"


def every_worker_status(root: str) -> str:
    """Return the topic filter for the status of all workers."""
    return f"{root}/workers/+/status"


def every_gateway_status(root: str) -> str:
    """Return the topic filter for the status of all gateways."""
    return f"{root}/gateways/+/status"


def every_reply_to(root: str, gateway: str) -> str:
    """Return the topic filter for all workers' replies to one gateway. Raises RequestRejected."""
    return f"{root}/gateways/{checked_name(gateway)}/replies/+"


def status_sender(topic: str) -> str:
    """Return the sender's name, the last level but one. Raises ProtocolViolation for an invalid name."""
    name = topic.rsplit("/", 2)[-2]
    if not NAME.fullmatch(name):
        raise ProtocolViolation(f"{name[:80]!r} is no name")
    return name


@lru_cache(maxsize=32)
def reply_sender(topic: str) -> str:
    """Return the worker's name in a reply topic. It is not checked, since it is only compared."""
    return topic[topic.rfind("/") + 1 :]


def gateway_to_answer(root: str, reply_to: str, worker: str) -> str:
    """Return the name of the gateway in a request's `reply_to`.

    Raises ProtocolViolation unless the topic is this worker's own below that gateway: otherwise any client
    that can write to the inbox could make the worker publish on any topic.
    """
    prefix, suffix = f"{root}/gateways/", f"/replies/{worker}"
    gateway = reply_to[len(prefix) : -len(suffix)]
    if reply_to != f"{prefix}{gateway}{suffix}" or not NAME.fullmatch(gateway):
        raise ProtocolViolation(f"reply_to {reply_to[:200]!r} is not below replies/{worker}")
    return gateway
