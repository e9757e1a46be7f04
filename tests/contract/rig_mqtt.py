"""Rigs of MqttTransport: a real Mosquitto, and a worker that streams or sends whole replies."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from unittest.mock import patch

from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Transport
from tests.contract.rigs import ENDLESS, broke_off, chat_request, echo
from tests.live.brokers import Mosquitto, running_mosquitto
from tests.reading import reading
from transports.mqtt.link import paho_internals
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.protocol.frame_codec import decode_inbox, encode
from transports.mqtt.protocol.frames import RequestFrame, Status, Whole
from transports.mqtt.protocol.topics import inbox_topic, worker_status_topic
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step

ROOT = "sluice/v1"


class _MqttRig:
    """Loses its peer by killing the broker, which disconnects all workers at once."""

    _broker: Mosquitto
    _transport: MqttTransport
    _lost: asyncio.Event

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[BrokerAddress]:
        self._lost = asyncio.Event()
        async with running_mosquitto() as self._broker:
            link = AiomqttLink(self._broker.address, client_id="gateway-1")
            link.watch(lambda connected: None if connected else self._lost.set())
            self._transport = MqttTransport(link, root=ROOT)
            async with self._transport.running():
                yield self._broker.address

    def request(self, text: str) -> ChatRequest:
        return chat_request(text)

    def endless(self) -> ChatRequest:
        return chat_request(ENDLESS)

    async def lose_peer(self) -> None:
        self._lost.clear()
        await self._broker.kill()
        await self._lost.wait()

    async def restore_peer(self) -> None:
        await self._broker.start()
        await self._transport.until_ready()

    async def _all_arrived(self) -> None:
        """Wait until the worker has received all earlier requests: MQTT keeps the order on one topic."""
        async with reading(self._transport, self.request("the last in the line")) as stream:
            async for _ in stream:
                pass


class MqttStreamingRig(_MqttRig):
    """A Worker whose backend is a ScriptedTransport."""

    name = "mqtt-streaming"

    def _script(self, request: ChatRequest) -> Iterable[Step]:
        steps = echo(request)
        return [*steps, self._broken.wait, broke_off()] if request.turns[-1].content == ENDLESS else steps

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        self._broken = asyncio.Event()
        self._scripted = ScriptedTransport(self._script)
        async with self._serving() as address:
            self._worker = Worker(self._scripted, AiomqttLink(address, client_id="worker-1"), root=ROOT)
            async with self._worker.running():
                await self._transport.until_ready()
                yield self._transport

    async def idle(self) -> None:
        async with asyncio.timeout(120):
            await self._all_arrived()
            await self._worker.idle()
            await self._scripted.idle()

    async def break_off(self) -> None:
        self._broken.set()


class MqttPublicWayRig(MqttStreamingRig):
    """Both ends use only the public interface of the MQTT libraries, as if a private name were missing."""

    name = "mqtt-public-way"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        with patch.dict(paho_internals.REASONS, {"_gone": "for this rig"}):
            async with super().serving() as transport:
                yield transport


class MqttWholeRig(_MqttRig):
    """The smallest worker that the protocol allows: it publishes a status and one `reply` per request."""

    name = "mqtt-whole"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        self._unanswered: set[str] = set()
        self._taken = asyncio.Event()
        async with self._serving() as address:
            self._link = AiomqttLink(address, client_id="worker-1")
            self._link.subscribe(inbox_topic(ROOT, "worker-1"), self._answer)
            self._link.watch(self._announce)
            async with self._link.running():
                await self._transport.until_ready()
                yield self._transport

    def _announce(self, connected: bool) -> None:
        if connected:
            status = encode(Status("ready", max=10))
            self._link.publish(worker_status_topic(ROOT, "worker-1"), status, retain=True)

    def _answer(self, topic: str, payload: bytes, retained: bool) -> None:
        frame = decode_inbox(payload)
        if not isinstance(frame, RequestFrame):
            self._unanswered.discard(frame.id)
        elif frame.messages[-1].content == ENDLESS:
            self._unanswered.add(frame.id)
            self._taken.set()
        else:
            self._link.publish(frame.reply_to, encode(Whole(frame.id, str(frame.messages[-1].content))))

    async def idle(self) -> None:
        async with asyncio.timeout(120):
            await self._all_arrived()
        assert not self._unanswered

    async def break_off(self) -> None:
        await self._taken.wait()
        status = encode(Status("lost"))
        self._link.publish(worker_status_topic(ROOT, "worker-1"), status, retain=True)
