"""Checks the gateway's rights on each topic of the broker, by trying them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

from gateway.commands.doctor.findings import Finding, failure, ok, skipped
from gateway.commands.doctor.running_gateway import NotShown, holds_the_connection, shown_by_gateway
from gateway.settings import Settings

if TYPE_CHECKING:
    from transports.mqtt.link.broker_visit import BrokerVisit

SOON_S, BACK_S = 0.5, 5.0
"""Seconds in which a retained message, and our own message, arrive."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """A right that the gateway needs. why: what the broker did instead of a refusal."""

    access: str
    topic: str
    why: str = ""

    @property
    def verb(self) -> str:
        return "publish on" if self.access == "write" else "subscribe to"


class _EndedBy(Exception):
    """The broker ended the connection, as some do at what they forbid. Nothing more can be tried."""

    def __init__(self, missing: _Missing) -> None:
        super().__init__(missing.topic)
        self.missing = missing


async def broker_rights(settings: Settings) -> Sequence[Finding]:
    """Subscribe to each filter of a gateway, and publish to each topic, of workers and devices that do not
    exist.

    Messages that arrive are ignored, and no subscription takes a message away from a gateway. Some brokers,
    such as Mosquitto with an acl_file, grant a forbidden subscription and never deliver: that is noticed on
    the gateway's own status only.
    """
    if not settings.mqtt_broker_host:
        return [skipped("MQTT_BROKER_HOST is empty")]
    if await holds_the_connection(settings):
        return await _rights_of_gateway(settings)
    from gateway.commands.doctor.broker_connection import NoVisit, visit_broker

    try:
        missing = await visit_broker(settings, lambda visit: _tried(settings, visit))
    except NoVisit:
        return [skipped("the broker cannot be used")]
    return _findings(settings, missing)


async def _rights_of_gateway(settings: Settings) -> Sequence[Finding]:
    """Let the running gateway try. Its subscriptions are granted, or it would not count as connected."""
    try:
        refused = (await shown_by_gateway(settings, "/api/admin/broker"))["refused_topics"]
    except NotShown as reason:
        return [skipped(str(reason))]
    if refused is None:
        return [skipped("this broker does not report to the running gateway where it may not publish")]
    return _findings(settings, [_Missing("write", topic) for topic in refused])


def _findings(settings: Settings, missing: Sequence[_Missing]) -> Sequence[Finding]:
    user = settings.mqtt_username or "anonymous clients"
    if not missing:
        return [ok(f"{user} may subscribe to and publish on all topics of gateway {settings.gateway_name}")]
    section = settings.mqtt_username or settings.gateway_name
    return [
        failure(
            f"{user} may not {one.verb} {one.topic}{one.why}",
            f'topic {one.access} {one.topic} below "user {section}" in the '
            "broker's ACL file (deploy/mosquitto/acl has all rights), and reload the broker",
        )
        for one in missing
    ]


def _tried(settings: Settings, visit: "BrokerVisit") -> Sequence[_Missing]:
    found: list[_Missing] = []
    try:
        for one in _missing_rights(settings, visit):
            found.append(one)  # noqa: PERF402  those before the end of the connection are kept
    except _EndedBy as end:
        found.append(end.missing)
    return found


@contextmanager
def _trying(access: str, topic: str) -> Iterator[None]:
    from transports.mqtt.link.broker_visit import BrokerLost
    from transports.mqtt.link.mqtt_version import BrokerSilent

    try:
        yield
    except (BrokerLost, BrokerSilent) as error:
        raise _EndedBy(_Missing(access, topic, f": {error}")) from error


def _missing_rights(settings: Settings, visit: "BrokerVisit") -> Iterator[_Missing]:
    from transports.mqtt.link.link import Receipt
    from transports.mqtt.protocol import topics

    root, name, nobody = settings.mqtt_topic_root, settings.gateway_name, f"doctor-{token_hex(4)}"
    own = topics.gateway_status_topic(root, name)
    yield from _own_status(own, visit)
    for wanted in (
        topics.every_reply_to(root, name),
        topics.every_worker_status(root),
        topics.every_chat(root),
        topics.every_chat_cancel(root),
        topics.every_device_status(root),
    ):
        with _trying("read", wanted):
            if not visit.subscribe(wanted):
                yield _Missing("read", wanted)
    for topic in (topics.inbox_topic(root, nobody), topics.down_topic(root, nobody)):
        shown = topic.replace(nobody, "+")
        with _trying("write", shown):
            if visit.publish(topic, b"{}") is Receipt.REFUSED:
                yield _Missing("write", shown)


def _own_status(own: str, visit: "BrokerVisit") -> Iterator[_Missing]:
    """Publish on our own status and wait for it. A gateway that is alive has published there itself."""
    from transports.mqtt.link.link import Receipt
    from transports.mqtt.protocol.frame_codec import encode
    from transports.mqtt.protocol.frames import Status

    with _trying("read", own):
        if not visit.subscribe(own):
            yield _Missing("read", own)
            return
    retained = visit.message(SOON_S)
    if retained is not None and b'"lost"' not in retained[1]:
        return
    # Of an incarnation before all others, so that workers ignore it. Not retained: it changes nothing.
    said = encode(Status("lost", incarnation=1))
    with _trying("write", own):
        if visit.publish(own, said) is Receipt.REFUSED:
            yield _Missing("write", own)
        elif visit.message(BACK_S) is None:
            yield _Missing("readwrite", own)
