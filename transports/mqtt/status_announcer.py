"""Publishes one retained status: at every heartbeat, at every connection, and at every change."""

import asyncio
import logging
from asyncio import Future, TimerHandle
from collections.abc import Callable
from contextlib import suppress

import msgspec

from gateway.contract.errors import GatewayError
from transports.mqtt.link.link import Envelope, Link, Receipt
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.presence import MISSED_HEARTBEATS

log = logging.getLogger(__name__)

SOON_S = 1.0


class Announcer:
    """Publishes the result of `status` on `topic` while `run` runs.

    A status that the link refuses, such as one with too many models, is logged once and not published.
    said: called with the receipt of each published status.
    """

    def __init__(
        self,
        link: Link,
        topic: str,
        heartbeat_s: float,
        status: Callable[[], Status],
        said: Callable[[Future[Receipt]], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._said = said
        self._topic = topic
        self._heartbeat_s = heartbeat_s
        self._status = status
        self._asked = asyncio.Event()
        self._later: TimerHandle | None = None
        self._refused = False
        self._roll_call = False
        self._was_connected = False

    def call_roll(self) -> None:
        """A gateway is connected: publish its status, and ask all workers for theirs.

        Not every broker sends retained statuses to a new subscription.
        """
        self._roll_call = True
        self.now()

    def answer_roll_call(self) -> None:
        """A gateway asks for a worker's status. Many gateways that ask at the same time get one answer."""
        self._roll_call = True
        self.soon()

    def reconnected(self, will: Status) -> None:
        """A worker is connected: publish its status, after its will if it was connected before.

        If the broker's node has crashed, or the broker does not publish the will of a client that connects
        again, the gateways still wait for replies that the lost connection has ended.
        """
        if self._was_connected:
            self._publish(will)
        self._was_connected = True
        self.now()

    def now(self) -> None:
        """Publish the status at once: others wait for this change."""
        self._asked.set()

    def soon(self) -> None:
        """Publish the status within SOON_S, together with further changes."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(SOON_S, self._asked.set)

    def say(self) -> Future[Receipt]:
        """Publish the status and return its receipt. The future never has an exception."""
        self._forget_later()
        status = self._status()
        if self._roll_call:
            status = msgspec.structs.replace(status, roll_call=True)
        self._roll_call = False
        receipt = self._publish(status)
        self._said(receipt)
        return receipt

    def _publish(self, status: Status) -> Future[Receipt]:
        envelope = None if status.state == "lost" else Envelope(MISSED_HEARTBEATS * self._heartbeat_s)
        try:
            return self._link.publish(self._topic, encode(status), retain=True, envelope=envelope)
        except GatewayError as error:
            if not self._refused:
                log.error("cannot publish the status on %s: %s", self._topic, error)
            self._refused = True
            unsaid: Future[Receipt] = asyncio.get_running_loop().create_future()
            unsaid.set_result(Receipt.LOST)
            return unsaid

    async def run(self) -> None:
        try:
            while True:
                self._asked.clear()
                self.say()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat_s):
                        await self._asked.wait()
        finally:
            self._forget_later()

    def _forget_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
