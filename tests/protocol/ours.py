"""Our own gateway side and worker side as parties under test, each inside this process."""

import asyncio
from array import array
from asyncio import Task
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from gateway.contract.content import text_of
from gateway.contract.content_parser import read_content
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.error_codes import error_of
from gateway.contract.errors import GatewayError, ModelRefused, UpstreamFailed
from gateway.contract.events import Delta, Done, Reasoning, ToolCall, Usage
from gateway.contract.reattach import Reattachable
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Abilities
from gateway.dialects.lam import as_json
from gateway.dialects.openai import usage_json
from tests.protocol.vectors import Vector
from tests.reading import Batch, reading
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens

DRAIN_S = 5.0
DEADLINE_S = 20.0


def scripted_model(request: ChatRequest) -> Iterable[Step]:
    """The model that README.md describes: it does what the last turn says."""
    verb, _, text = text_of(request.turns[-1].content).partition(" ")
    pieces: list[Step] = [[Delta(character)] for character in text]
    match verb:
        case "echo":
            return [*pieces, [Usage(3, 5, 8), Done("stop")]]
        case "hold":
            return pieces
        case "length":
            return [*pieces, [Done("length")]]
        case "think":
            return [[Reasoning(text)], *pieces, [Done("stop")]]
        case "call":
            return [[ToolCall("call-1", text, '{"a":1}')], [Done("tool_calls")]]
        case "fail":
            return [error_of(text, "as you wish")]
        case "break":
            return [*pieces, UpstreamFailed("as you wish")]
        case "refuse":
            return [ModelRefused("as you wish")]
    return tokens("?")


async def embed(request: EmbedRequest) -> Embeddings:
    """Return `[length, 0.5]` for each text, and `too_large` vectors for a text that asks for them."""
    if any(text == "fail" for text in request.inputs):
        raise ModelRefused("as you wish")
    vectors = [array("f", [len(text), 0.5] * (50_000 if text == "long" else 1)) for text in request.inputs]
    return Embeddings(vectors, request.model, 7)


class OurWorker:
    """A Worker over the test model, with two slots."""

    abilities = frozenset(
        {"start", "take_over", "terminate", "stream", "two_slots", "parts", "roll_call"}
        | {"embeds", "keep"}
        | {"echo", "hold", "length", "think", "call", "fail", "break", "refuse"}
    )

    def __init__(self, address: BrokerAddress, name: str, root: str) -> None:
        self.name = name
        link = AiomqttLink(address, client_id=name)
        able = Abilities(embed=embed, embeds=lambda: True)
        self._worker = Worker(
            ScriptedTransport(scripted_model, abilities=able), link, root=root, max_concurrent=2
        )
        self._asked_to_go = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            living = tasks.create_task(self._live())
            yield
            living.cancel()

    async def _live(self) -> None:
        async with self._worker.running():
            await self._asked_to_go.wait()
            await self._worker.drain(DRAIN_S)

    async def terminate(self) -> None:
        self._asked_to_go.set()

    def dropped(self) -> int:
        return sum(self._worker.dropped.values())


class OurGateway:
    """An MqttTransport with the settings of one vector."""

    abilities = frozenset({"start", "settings", "reattach"})

    def __init__(self, address: BrokerAddress, name: str, root: str, vector: Vector) -> None:
        self.name = name
        settings = vector.settings
        self._deadline_s = float(settings.get("REPLY_DEADLINE_S", DEADLINE_S))
        self._transport = MqttTransport(
            AiomqttLink(address, client_id=name),
            root=root,
            idle_s=float(settings.get("IDLE_S", 30)),
            queue_max=int(settings.get("QUEUE_MAX", 200)),
            worker_max=int(settings.get("WORKER_MAX", 64)),
        )
        self._tasks: asyncio.TaskGroup
        self._readings: list[Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._transport.running(), asyncio.TaskGroup() as self._tasks:
            yield
            for reading in self._readings:
                reading.cancel()

    async def terminate(self) -> None:
        raise NotImplementedError

    def dropped(self) -> int:
        return sum(self._transport.dropped.values())

    def embed(self, input: Any, model: str | None) -> "OurReader":
        request = EmbedRequest(input, model, deadline_s=self._deadline_s)
        reader = OurReader(self._transport, ChatRequest("0" * 32, []))
        reader.task = self._tasks.create_task(reader.read_vectors(request))
        self._readings.append(reader.task)
        return reader

    async def until_known(self, workers: set[str]) -> None:
        while {worker.name for worker in self._transport.workers if worker.ready} != workers:
            await self._transport.presence_changed()

    def ask(self, content: object, model: str | None) -> "OurReader":
        read = read_content(content, "content", 1_000_000)
        request = ChatRequest(
            "0" * 32,
            [Turn("user", read)],
            model=model,
            deadline_s=self._deadline_s,
            reattachable=Reattachable(uuid4().hex, lambda _: None),
        )
        reader = OurReader(self._transport, request)
        reader.task = self._tasks.create_task(reader.read())
        self._readings.append(reader.task)
        return reader


class OurReader:
    """Reads one reply from the transport as a gateway does."""

    def __init__(self, transport: MqttTransport, request: ChatRequest) -> None:
        self.text = ""
        self.told: list[dict[str, Any]] = []
        self.last: dict[str, Any] | None = None
        self.task: Task[None]
        self._usage: dict[str, Any] = {}
        self._transport = transport
        self._request = request
        self._news = asyncio.Event()

    async def read(self) -> None:
        try:
            async with reading(self._transport, self._request) as stream:
                async for batch in stream:
                    self._hear(batch)
                    self._news.set()
        except GatewayError as error:
            self.last = {"type": "error", "reason": error.reason, "code": error.code}
        except asyncio.CancelledError:
            self.last = {"type": "done", "reason": "user_stop"}
            raise
        finally:
            self._news.set()

    async def read_vectors(self, request: EmbedRequest) -> None:
        try:
            made = await self._transport.abilities.embed(request)
            vectors = [list(vector) for vector in made.vectors]
            self.last = {"type": "vectors", "vectors": vectors, "prompt_tokens": made.prompt_tokens}
        except GatewayError as error:
            self.last = {"type": "error", "code": error.code}
        finally:
            self._news.set()

    async def news(self) -> None:
        await self._news.wait()
        self._news.clear()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    def _hear(self, batch: Batch) -> None:
        for event in batch:
            if isinstance(event, Delta):
                self.text += event.text
            elif isinstance(event, Usage):
                self._usage = {"usage": usage_json(event)}
            elif isinstance(event, Done):
                delivery = "token" if event.granularity == "token" else "chunked"
                self.last = {"type": "done", "reason": event.reason, "delivery": delivery, **self._usage}
            else:
                self.told.append(as_json(event))
