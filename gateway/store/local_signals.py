"""Signals between gateways of one process. A gateway on SQLite is alone and has no other to reach."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.contract.signals import Body, Hear
from gateway.store.signal_topics import SignalTopics, signal_text


class LocalHub:
    """Connects LocalSignals."""

    def __init__(self) -> None:
        self.members: list[SignalTopics] = []


class LocalSignals:
    """Implements gateway.contract.signals.Signals."""

    def __init__(self, owner: str, hub: LocalHub) -> None:
        self._topics = SignalTopics(owner)
        self._hub = hub

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._hub.members.append(self._topics)
        try:
            yield
        finally:
            self._hub.members.remove(self._topics)

    def on(self, topic: str, hear: Hear) -> None:
        self._topics.on(topic, hear)

    def on_missed(self, call: Callable[[], None]) -> None:
        self._topics.on_missed(call)

    def send(self, topic: str, body: Body) -> None:
        if len(self._hub.members) > 1:
            text = signal_text(self._topics.sender, topic, body)
            asyncio.get_running_loop().call_soon(self._deliver, text)

    def _deliver(self, text: str) -> None:
        for member in tuple(self._hub.members):
            member.deliver(text)
