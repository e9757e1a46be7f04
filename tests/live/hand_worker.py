"""Clients of a broker whose every word is said by the test: an honest worker, and anybody else."""

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from tests.live.brokers import Mosquitto
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import Receipt
from transports.mqtt.protocol.frame_codec import decode_inbox, encode
from transports.mqtt.protocol.frames import CancelFrame, Frame, RequestFrame, Status

ROOT = "sluice/v1"
GATEWAY = "gateway"


def reply_topic(worker: str) -> str:
    """Where a worker answers the gateway, whatever it is called."""
    return f"{ROOT}/gateways/{GATEWAY}/replies/{worker}"


def status_topic(worker: str) -> str:
    """Where a worker keeps its status, whatever it is called."""
    return f"{ROOT}/workers/{worker}/status"


class Hand:
    """A client that publishes whatever it is told to, wherever."""

    def __init__(self, broker: Mosquitto, name: str) -> None:
        self.name = name
        self.link = AiomqttLink(broker.address, client_id=name, max_payload=10_000_000)
        self._connected = asyncio.Event()
        self.link.watch(lambda connected: self._connected.set() if connected else None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        async with self.link.running():
            async with asyncio.timeout(120):
                await self._connected.wait()
            yield self

    async def publish(self, topic: str, *payloads: bytes, retain: bool = False) -> None:
        """Returns when the broker has passed them all on."""
        await self._all_taken([self.link.publish(topic, payload, retain=retain) for payload in payloads])

    async def flood(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Many topics and payloads at once; returns when the broker has passed them all on."""
        await self._all_taken([self.link.publish(topic, payload) for topic, payload in messages])

    async def _all_taken(self, receipts: Sequence[Future[Receipt]]) -> None:
        async with asyncio.timeout(120):
            assert set(await asyncio.gather(*receipts)) <= {Receipt.TAKEN, Receipt.NOBODY}

    async def answer_as(self, worker: str, *payloads: bytes, retain: bool = False) -> None:
        """Publish where `worker` answers the gateway."""
        await self.publish(reply_topic(worker), *payloads, retain=retain)

    async def announce_as(self, worker: str, *payloads: bytes, retain: bool = False) -> None:
        """Publish where `worker` keeps its status."""
        await self.publish(status_topic(worker), *payloads, retain=retain)


class HandWorker(Hand):
    """A worker that waits for the test to answer. status: announced with every connection."""

    def __init__(self, broker: Mosquitto, name: str = "honest", status: Status | None = None) -> None:
        super().__init__(broker, name)
        self._status = status or Status("ready", stream=True, max=10)
        self._asked: asyncio.Queue[RequestFrame] = asyncio.Queue()
        self._cancelled: asyncio.Queue[CancelFrame] = asyncio.Queue()
        self.link.subscribe(f"{ROOT}/workers/{name}/inbox", self._hear)
        self.link.watch(self._announce)

    async def asked(self) -> RequestFrame:
        """The next request."""
        async with asyncio.timeout(120):
            return await self._asked.get()

    async def cancelled(self) -> CancelFrame:
        """The next cancel."""
        async with asyncio.timeout(120):
            return await self._cancelled.get()

    async def say(self, *frames: Frame) -> None:
        """Answer; returns when the broker has passed it all on."""
        await self.answer_as(self.name, *map(encode, frames))

    def _announce(self, connected: bool) -> None:
        if connected:
            self.link.publish(status_topic(self.name), encode(self._status), retain=True)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        frame = decode_inbox(payload)
        if isinstance(frame, RequestFrame):
            self._asked.put_nowait(frame)
        elif isinstance(frame, CancelFrame):
            self._cancelled.put_nowait(frame)
