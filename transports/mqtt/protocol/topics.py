"""Topic names, built and taken apart: the only place that knows where things live below the root."""

import re

from gateway.contract.errors import ProtocolViolation, RequestRejected

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def checked_name(name: str) -> str:
    """`name` itself, if it may stand in a topic: 1 to 64 characters of `[A-Za-z0-9_.-]`.

    Anything else raises RequestRejected, because `+`, `#` and `/` would reach others. Source: MQTT 5.0, 4.7.
    """
    if not NAME.fullmatch(name):
        raise RequestRejected(f"{name[:80]!r} is no name: 1 to 64 characters of A-Z a-z 0-9 _ . -")
    return name


def checked_root(root: str) -> str:
    """`root` itself, if every level of it is a name; raises RequestRejected."""
    for level in root.split("/"):
        checked_name(level)
    return root


def inbox_topic(root: str, worker: str) -> str:
    """Where one worker takes requests and cancels; raises RequestRejected."""
    return f"{root}/workers/{checked_name(worker)}/inbox"


def worker_status_topic(root: str, worker: str) -> str:
    """Where one worker keeps its retained status; its last will goes there too; raises RequestRejected."""
    return f"{root}/workers/{checked_name(worker)}/status"


def gateway_status_topic(root: str, gateway: str) -> str:
    """Where one gateway keeps its retained status; its last will goes there too; raises RequestRejected."""
    return f"{root}/gateways/{checked_name(gateway)}/status"


def reply_topic(root: str, gateway: str, worker: str) -> str:
    """Where one worker answers one gateway; raises RequestRejected."""
    return f"{root}/gateways/{checked_name(gateway)}/replies/{checked_name(worker)}"


def down_topic(root: str, device: str) -> str:
    """Where one device hears its answers and mirrored replies; raises RequestRejected."""
    return f"{root}/devices/{checked_name(device)}/down"


def every_chat(root: str) -> str:
    """The filter that hears the chats of every device."""
    return f"{root}/devices/+/up"


def every_chat_cancel(root: str) -> str:
    """The filter that hears what devices cancel."""
    return f"{root}/devices/+/cancel"


def every_device_status(root: str) -> str:
    """The filter that hears the status of every device."""
    return f"{root}/devices/+/status"


def every_worker_status(root: str) -> str:
    """The filter that hears the status of every worker."""
    return f"{root}/workers/+/status"


def every_gateway_status(root: str) -> str:
    """The filter that hears the status of every gateway."""
    return f"{root}/gateways/+/status"


def every_reply_to(root: str, gateway: str) -> str:
    """The filter that hears all workers' replies to one gateway; raises RequestRejected."""
    return f"{root}/gateways/{checked_name(gateway)}/replies/+"


def status_sender(topic: str) -> str:
    """Whose topic this is, its last level but one; raises ProtocolViolation for a name nobody may have."""
    name = topic.rsplit("/", 2)[-2]
    if not NAME.fullmatch(name):
        raise ProtocolViolation(f"{name[:80]!r} is no name")
    return name


def reply_sender(topic: str) -> str:
    """The level that names the worker on a reply topic, unchecked: it is compared, never used."""
    return topic[topic.rfind("/") + 1 :]


def gateway_to_answer(root: str, reply_to: str, worker: str) -> str:
    """The gateway behind a request's `reply_to`.

    Raises ProtocolViolation unless the topic is this worker's own below that gateway: a worker that
    published wherever it was told to would be a tool for whoever can write to its inbox.
    """
    prefix, suffix = f"{root}/gateways/", f"/replies/{worker}"
    gateway = reply_to[len(prefix) : -len(suffix)]
    if reply_to != f"{prefix}{gateway}{suffix}" or not NAME.fullmatch(gateway):
        raise ProtocolViolation(f"reply_to {reply_to[:200]!r} is not below replies/{worker}")
    return gateway
