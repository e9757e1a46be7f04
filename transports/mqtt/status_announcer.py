"""Publishes one retained status: at every heartbeat, at every connection, and at every change."""

import asyncio
import logging
from asyncio import Future, TimerHandle
from collections.abc import Callable
from contextlib import suppress

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
        envelope = None if status.state == "lost" else Envelope(MISSED_HEARTBEATS * self._heartbeat_s)
        try:
            receipt = self._link.publish(self._topic, encode(status), retain=True, envelope=envelope)
        except GatewayError as error:
            if not self._refused:
                log.error("cannot publish the status on %s: %s", self._topic, error)
            self._refused = True
            unsaid: Future[Receipt] = asyncio.get_running_loop().create_future()
            unsaid.set_result(Receipt.LOST)
            return unsaid
        self._said(receipt)
        return receipt

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
