"""Links over a broker in memory, and a clock that is moved by hand."""

import asyncio
from asyncio import Future, TimerHandle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.contract.errors import TooLarge
from transports.mqtt.link.link import Envelope, MessageHandler, Receipt, StateHandler, Will


class HandClock:
    """Time stands still until `advance`."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._timers: list[TimerHandle] = []

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        timer = TimerHandle(when, callback, (), asyncio.get_running_loop())
        self._timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Move on, and ring what is due in its order."""
        until = self._now + seconds
        while due := [timer for timer in self._timers if not timer.cancelled() and timer.when() <= until]:
            timer = min(due, key=lambda timer: timer.when())
            self._timers.remove(timer)
            self._now = max(self._now, timer.when())
            timer._run()
        self._now = until


class MemoryBroker:
    """Delivers in order in a later turn of the loop, keeps retained messages, tells when nobody hears."""

    def __init__(self) -> None:
        self.links: list[MemoryLink] = []
        self.retained: dict[str, bytes] = {}
        self.log: list[tuple[str, bytes]] = []
        self.sends_retained = True
        """To a new subscription."""
        self.publishes_wills = True

    def link(self, client_id: str, max_payload: int = 262_144) -> "MemoryLink":
        link = MemoryLink(self, client_id, max_payload)
        self.links.append(link)
        return link

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> bool:
        """Returns whether anybody hears it."""
        self.log.append((topic, payload))
        if retain:
            self.retained[topic] = payload
        heard = [link for link in self.links if link.connected and link.hears(topic)]
        for link in heard:
            asyncio.get_running_loop().call_soon(link.deliver, topic, payload, False)
        return bool(heard)


class MemoryLink:
    def __init__(self, broker: MemoryBroker, client_id: str, max_payload: int) -> None:
        self._broker = broker
        self._client_id = client_id
        self._max_payload = max_payload
        self._routes: list[tuple[str, str, MessageHandler]] = []
        self._watchers: list[StateHandler] = []
        self._will: Will | None = None
        self._connected = False
        self.sent: list[tuple[str, bytes]] = []
        self.forbidden: set[str] = set()
        """Topics on which the broker refuses what is published."""
        self.silent = False
        """As a 3.1.1 broker does, which acknowledges what it forbids."""
        self.stuck = False
        """As before a broker that has stopped: nothing arrives, and nothing is acknowledged."""
        self._unacknowledged: list[Future[Receipt]] = []
        self._sent_something = asyncio.Event()

    @property
    def client_id(self) -> str:
        return self._client_id

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def tells_refusals(self) -> bool:
        return not self.silent

    @property
    def max_payload(self) -> int:
        return self._max_payload

    def room(self, topic: str) -> int:
        return self._max_payload

    def subscribe(self, topic_filter: str, handler: MessageHandler, *, group: str | None = None) -> None:
        prefix, _, suffix = topic_filter.partition("+")
        self._routes.append((prefix, suffix, handler))

    def watch(self, handler: StateHandler) -> None:
        self._watchers.append(handler)

    @asynccontextmanager
    async def running(self, will: Will | None = None) -> AsyncIterator[None]:
        self._will = will
        self.connect()
        try:
            yield
        finally:
            self._connected = False

    def connect(self) -> None:
        self._connected = True
        for watcher in self._watchers:
            watcher(True)
        for topic, payload in self._broker.retained.items():
            if self.hears(topic) and self._broker.sends_retained:
                asyncio.get_running_loop().call_soon(self.deliver, topic, payload, True)

    def lose_connection(self) -> None:
        """As if the cable were pulled: the broker publishes the will, if it does so at all."""
        self._connected = False
        for receipt in self._unacknowledged:
            receipt.set_result(Receipt.LOST)
        self._unacknowledged.clear()
        if self._will is not None and self._broker.publishes_wills:
            self._broker.publish(self._will.topic, self._will.payload, retain=True)
        for watcher in self._watchers:
            watcher(False)

    async def published(self) -> None:
        """Return when something was handed to the broker."""
        await self._sent_something.wait()

    def hears(self, topic: str) -> bool:
        return any(topic.startswith(prefix) and topic.endswith(suffix) for prefix, suffix, _ in self._routes)

    def deliver(self, topic: str, payload: bytes, retained: bool) -> None:
        for prefix, suffix, handler in self._routes:
            if topic.startswith(prefix) and topic.endswith(suffix):
                handler(topic, payload, retained)
                return

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        if len(payload) > self._max_payload:
            raise TooLarge("too large")
        receipt: Future[Receipt] = asyncio.get_running_loop().create_future()
        if not self._connected:
            receipt.set_result(Receipt.LOST)
            return receipt
        self.sent.append((topic, payload))
        self._sent_something.set()
        if self.stuck:
            self._unacknowledged.append(receipt)
            return receipt
        if topic in self.forbidden:
            receipt.set_result(Receipt.TAKEN if self.silent else Receipt.REFUSED)
            return receipt
        heard = self._broker.publish(topic, payload, retain)
        receipt.set_result(Receipt.TAKEN if heard else Receipt.NOBODY)
        return receipt
