"""A link that tells the frames that pass."""

from asyncio import Future
from contextlib import AbstractAsyncContextManager

from gateway.contract.simulators import HearFrame, PassedFrame
from transports.mqtt.link.link import Envelope, Link, MessageHandler, Receipt, StateHandler, Will


class HeardLink:
    """Implements Link on top of another one. Received statuses are not told: they come from all gateways."""

    def __init__(self, link: Link, hear: HearFrame) -> None:
        self._link = link
        self._hear = hear

    @property
    def client_id(self) -> str:
        return self._link.client_id

    @property
    def connected(self) -> bool:
        return self._link.connected

    @property
    def tells_refusals(self) -> bool:
        return self._link.tells_refusals

    @property
    def max_payload(self) -> int:
        return self._link.max_payload

    def room(self, topic: str) -> int:
        return self._link.room(topic)

    def subscribe(self, topic_filter: str, handler: MessageHandler, *, group: str | None = None) -> None:
        def told(topic: str, payload: bytes, retained: bool) -> None:
            self._hear(PassedFrame(False, topic, payload))
            handler(topic, payload, retained)

        is_status = topic_filter.endswith("/status")
        self._link.subscribe(topic_filter, handler if is_status else told, group=group)

    def watch(self, handler: StateHandler) -> None:
        self._link.watch(handler)

    def running(self, will: Will | None = None) -> AbstractAsyncContextManager[None]:
        return self._link.running(will)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        receipt = self._link.publish(topic, payload, retain=retain, envelope=envelope)
        self._hear(PassedFrame(True, topic, payload))
        return receipt
