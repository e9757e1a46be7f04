"""Keeps one retained status true: at every heartbeat, at every connection, and whenever it changes."""

import asyncio
import logging
from asyncio import Future, TimerHandle
from collections.abc import Callable
from contextlib import suppress

from gateway.contract.errors import GatewayError
from transports.mqtt.link.link import Envelope, Link, Receipt
from transports.mqtt.protocol.frames import Status, encode
from transports.mqtt.requests.presence import MISSED_HEARTBEATS

log = logging.getLogger(__name__)

SOON_S = 1.0


class Announcer:
    """Says what `status` gives, on `topic`, for as long as `run` goes on.

    link: what it does not take, such as a list of models that is too long, is logged once and not said. said:
    called with the receipt of each.
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
        """Something changed that others wait for."""
        self._asked.set()

    def soon(self) -> None:
        """Something changed that may change again: said with whatever else does within SOON_S."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(SOON_S, self._asked.set)

    def say(self) -> Future[Receipt]:
        """Publish the status now; the future never holds an exception."""
        self._forget_later()
        status = self._status()
        envelope = None if status.state == "lost" else Envelope(MISSED_HEARTBEATS * self._heartbeat_s)
        try:
            receipt = self._link.publish(self._topic, encode(status), retain=True, envelope=envelope)
        except GatewayError as error:
            if not self._refused:
                log.error("the status on %s cannot be told: %s", self._topic, error)
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
