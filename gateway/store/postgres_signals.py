"""Signals by PostgreSQL's LISTEN and NOTIFY."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.contract.errors import StorageFailed
from gateway.contract.signals import Body, Hear
from gateway.store.announcements import CHANNEL
from gateway.store.postgres_link import PostgresLink
from gateway.store.signal_topics import SignalTopics, signal_text

log = logging.getLogger("sluice.signals")

MAX_WAITING = 10_000
_HELLO = "hello"
"""Nobody hears this topic: it only tells the others that they are not alone."""
_NOTIFY = f"SELECT pg_notify({CHANNEL}, payload) FROM unnest($1::text[]) AS payload"  # noqa: S608 - a constant


class PostgresSignals:
    """Implements gateway.contract.signals.Signals.

    Signals that are sent while a statement runs go together with the next one: each transaction with a NOTIFY
    takes a lock of the whole database server. While the database is away, signals are dropped.

    owner: this start of this gateway.

    Attributes:
        alone: True if no other gateway is known; then nothing is sent.
    """

    def __init__(self, link: PostgresLink, owner: str) -> None:
        self._link = link
        self._topics = SignalTopics(owner)
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()
        self.alone = False
        link.on_notification = self._deliver
        link.on_loss = self._topics.miss

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send_waiting())
            self.send(_HELLO, {})
            try:
                yield
            finally:
                sending.cancel()

    def on(self, topic: str, hear: Hear) -> None:
        self._topics.on(topic, hear)

    def on_missed(self, call: Callable[[], None]) -> None:
        self._topics.on_missed(call)

    def send(self, topic: str, body: Body) -> None:
        if not self.alone:
            self._waiting.append(signal_text(self._topics.sender, topic, body))
            self._wake.set()

    def _deliver(self, text: str) -> None:
        self.alone = False
        self._topics.deliver(text)

    async def _send_waiting(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            payloads = list(self._waiting)
            self._waiting.clear()
            try:
                await self._link.fetch(_NOTIFY, payloads)
            except StorageFailed as error:
                log.debug("%d signals were not sent: %s", len(payloads), error)
