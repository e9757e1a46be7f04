"""One MQTT client that plays all other parties for the gateway or worker under test."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt

from transports.mqtt.link.link import BrokerAddress

BROKER_S = 60.0
"""Deadline in seconds for each of the broker's acknowledgements: a busy machine fails no vector."""


class Silence(AssertionError):
    """No message arrived in time."""


def client(address: BrokerAddress, identifier: str) -> aiomqtt.Client:
    mqtt_5 = address.protocol == "5"
    return aiomqtt.Client(
        address.host,
        address.port,
        username=address.username,
        password=address.password,
        identifier=identifier,
        protocol=aiomqtt.ProtocolVersion.V5 if mqtt_5 else aiomqtt.ProtocolVersion.V311,
        clean_session=None if mqtt_5 else True,
        timeout=BROKER_S,
    )


class Counterpart:
    """Publishes messages, and queues the received ones by topic."""

    def __init__(self, address: BrokerAddress, mqtt: aiomqtt.Client) -> None:
        self._address = address
        self._mqtt = mqtt
        self._heard: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._news = asyncio.Condition()
        self._retained: set[str] = set()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        if retain:
            self._retained.add(topic)
        await self._mqtt.publish(topic, payload, qos=qos, retain=retain)

    async def next(self, topic: str, within_s: float) -> Any:
        """Return the next message on `topic`, parsed if it is JSON, else as bytes. Raises Silence."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(lambda: self._heard[topic])
        except TimeoutError:
            raise Silence(f"nothing on {topic} within {within_s:g} s") from None
        return self._heard[topic].popleft()

    async def take_over(self, client_id: str) -> None:
        """Connect with another client's id: the broker disconnects that client and publishes its will."""
        async with client(self._address, client_id):
            pass

    async def forget_retained(self) -> None:
        """Clear all retained messages of this counterpart. A cleared status also means `lost`."""
        for topic in self._retained:
            await self._mqtt.publish(topic, b"", qos=1, retain=True)

    async def listen(self) -> None:
        async for message in self._mqtt.messages:
            async with self._news:
                self._heard[str(message.topic)].append(_decoded(bytes(message.payload)))
                self._news.notify_all()


def _decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload


@asynccontextmanager
async def connected(address: BrokerAddress, name: str, filters: Sequence[str]) -> AsyncIterator[Counterpart]:
    """Connect a counterpart that subscribes to `filters`. address.protocol: "5" or "3.1.1"."""
    async with client(address, name) as mqtt, asyncio.TaskGroup() as tasks:
        await mqtt.subscribe([(topic_filter, 1) for topic_filter in filters])
        counterpart = Counterpart(address, mqtt)
        listening = tasks.create_task(counterpart.listen())
        try:
            yield counterpart
        finally:
            listening.cancel()
            await counterpart.forget_retained()
