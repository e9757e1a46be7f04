"""A stranger on a real Mosquitto without an ACL sends what nobody should; an honest worker answers on."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

from gateway.contract.errors import FrameGap, ProtocolViolation
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.requests import ChatRequest, Turn
from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.hand_worker import GATEWAY, Hand, HandWorker, status_topic
from tests.reading import Batches, reading
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import AcceptFrame, ChunkFrame, EndFrame, RequestFrame, Status, Whole
from transports.mqtt.requests.presence import MAX_WORKERS
from transports.mqtt.requests.transport import MqttTransport

pytestmark = [pytest.mark.live, requires_mosquitto()]


def chat(text: str = "hi", model: str | None = None) -> ChatRequest:
    return ChatRequest(uuid4().hex, [Turn("user", text)], model=model, deadline_s=120)


@dataclass
class Scene:
    """A reply whose honest worker has said "true " and will say "text"."""

    broker: Mosquitto
    transport: MqttTransport
    worker: HandWorker
    stranger: Hand
    request: RequestFrame
    stream: Batches

    async def finish(self) -> None:
        """The reply ends as if nothing had happened; whatever was sent before has arrived by then."""
        id = self.request.id
        await self.worker.say(ChunkFrame(id, 2, "text"), EndFrame(id, 3, length=9))
        rest = [event async for batch in self.stream for event in batch]
        assert rest == [Delta("text"), Done("stop")]

    def frame(self, **fields: object) -> bytes:
        """A chunk of this very reply, with these fields changed."""
        chunk: dict[str, object] = {"type": "chunk", "id": self.request.id, "seq": 2, "text": "false"}
        return json.dumps(chunk | fields).encode()


@asynccontextmanager
async def gateway(broker: Mosquitto) -> AsyncIterator[MqttTransport]:
    transport = MqttTransport(AiomqttLink(broker.address, client_id=GATEWAY), idle_s=120)
    async with transport.running():
        yield transport


@asynccontextmanager
async def mid_reply() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running_mosquitto())
        worker, stranger = HandWorker(broker), Hand(broker, "stranger")
        transport = await stack.enter_async_context(gateway(broker))
        for hand in (worker, stranger):
            await stack.enter_async_context(hand.running())
        await stack.enter_async_context(asyncio.timeout(120))
        await transport.until_ready()
        stream = await stack.enter_async_context(reading(transport, chat()))
        request = await worker.asked()
        await worker.say(AcceptFrame(request.id), ChunkFrame(request.id, 1, "true "))
        assert await anext(stream) == [Delta("true ")]
        yield Scene(broker, transport, worker, stranger, request, stream)


async def answered(transport: MqttTransport, worker: HandWorker, text: str) -> list[TransportEvent]:
    """Ask anew, and let the honest worker answer whole."""
    async with reading(transport, chat()) as stream:
        await worker.say(Whole((await worker.asked()).id, text))
        return [event async for batch in stream for event in batch if not isinstance(event, Done)]


async def test_a_frame_on_another_workers_topic_is_not_taken() -> None:
    async with mid_reply() as scene:
        await scene.stranger.answer_as("somebody-else", scene.frame())
        await scene.finish()
        assert scene.transport.dropped == {"reply": 1}


async def test_a_frame_with_a_guessed_id_is_not_taken() -> None:
    async with mid_reply() as scene:
        await scene.stranger.answer_as("honest", scene.frame(id="f" * 32), scene.frame(id="1"))
        await scene.finish()
        assert scene.transport.dropped == {"unknown id": 2}


async def test_a_reply_that_is_played_again_is_not_heard_again() -> None:
    async with mid_reply() as scene:
        await scene.finish()
        id = scene.request.id
        played = [AcceptFrame(id), ChunkFrame(id, 1, "true "), ChunkFrame(id, 2, "text")]
        played.append(EndFrame(id, 3, length=9))
        await scene.stranger.answer_as("honest", *map(encode, played))
        assert await answered(scene.transport, scene.worker, "next") == [Delta("next")]
        assert scene.transport.dropped == {"unknown id": 4}


async def test_frames_after_a_stop_are_late() -> None:
    async with mid_reply() as scene:
        async with reading(scene.transport, chat("to be stopped")):
            stopped = await scene.worker.asked()
        assert (await scene.worker.cancelled()).id == stopped.id
        await scene.worker.say(AcceptFrame(stopped.id), ChunkFrame(stopped.id, 1, "late"))
        await scene.finish()
        assert scene.transport.dropped == {"unknown id": 2}


async def test_a_repeated_seq_says_nothing_twice() -> None:
    async with mid_reply() as scene:
        id = scene.request.id
        await scene.worker.say(AcceptFrame(id), ChunkFrame(id, 1, "again"), ChunkFrame(id, 0, "again"))
        await scene.finish()


async def test_a_missing_seq_ends_the_reply_in_two_seconds_and_the_worker_is_told() -> None:
    async with mid_reply() as scene:
        await scene.worker.say(ChunkFrame(scene.request.id, 3, "never seen"), EndFrame(scene.request.id, 4))
        with pytest.raises(FrameGap):
            await anext(scene.stream)
        assert (await scene.worker.cancelled()).id == scene.request.id


async def test_retained_frames_of_yesterday_are_not_taken() -> None:
    async with running_mosquitto() as broker, asyncio.timeout(120):
        worker, stranger = HandWorker(broker), Hand(broker, "stranger")
        async with worker.running(), stranger.running():
            await stranger.answer_as("honest", b'{"type":"reply","id":"x","text":"old"}', retain=True)
            async with gateway(broker) as transport:
                await transport.until_ready()
                assert await answered(transport, worker, "new") == [Delta("new")]
                assert transport.dropped == {"reply": 1}


RUBBISH = [
    b"",
    b"\x00\xff\xfe",
    b"null",
    b"[" * 100_000,
    b'{"type":"chunk","id":"x","seq":2,"text":"false","z":' + b"[" * 100_000,
    b'{"type":"chunk","id":"x","seq":2,"text":"\xff\xfe"}',
    b'{"type":"chunk","id":"x","seq":2,"text":"%s"}' % (b"x" * 1_000_000),
    b'{"type":"end","id":"x","seq":%d}' % 10**400,
    b'{"type":"launch","id":"x"}',
]


@pytest.mark.parametrize("payload", RUBBISH, ids=lambda payload: payload[:24])
async def test_rubbish_is_counted_logged_once_and_nothing_else(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with mid_reply() as scene:
        async with reading(scene.transport, chat("whose rubbish it is cannot be told")):
            await scene.worker.asked()
            await scene.stranger.answer_as("honest", payload, payload, payload)
            await scene.stranger.announce_as("bogus", payload or b"\x00", payload or b"\x00")
            await scene.finish()
        assert scene.transport.dropped == {"reply": 3, "status": 2}
        assert len(caplog.records) == 2, "one line for each sender"
        assert [worker.name for worker in scene.transport.workers] == ["honest"]


@pytest.mark.parametrize("fields", [{"seq": "2"}, {"seq": -2}, {"seq": 2.5}, {"text": None}, {"id": ""}])
async def test_a_frame_with_a_wrong_field_ends_its_reply(fields: dict[str, object]) -> None:
    async with mid_reply() as scene:
        await scene.worker.answer_as("honest", scene.frame(**fields))
        with pytest.raises(ProtocolViolation):
            await anext(scene.stream)
        assert scene.transport.dropped == {"reply": 1}
        assert (await scene.worker.cancelled()).id == scene.request.id


@pytest.mark.parametrize("name", ["", "a b", "ü", "x" * 65, "$share", "a'\"<b>"])
async def test_a_name_nobody_may_have_is_no_worker(name: str) -> None:
    async with mid_reply() as scene:
        await scene.stranger.announce_as(name, b'{"type":"status","state":"ready"}')
        await scene.finish()
        assert scene.transport.dropped == {"status": 1}
        assert [worker.name for worker in scene.transport.workers] == ["honest"]


@pytest.mark.parametrize("name", ["+", "#", "a/b"])
async def test_the_name_that_counts_is_the_topics(name: str) -> None:
    async with mid_reply() as scene:
        status = {"type": "status", "state": "draining", "name": name}
        await scene.stranger.announce_as("somebody", json.dumps(status).encode())
        await scene.finish()
        assert [info.name for info in scene.transport.list_workers()] == ["honest", "somebody"]


@pytest.mark.parametrize(
    "field",
    [
        '"max":1.5',
        '"max":NaN',
        '"max":-1',
        '"busy":-5',
        f'"busy":{10**30}',
        f'"incarnation":{10**300}',
        '"heartbeat_s":-1',
        '"heartbeat_s":1e999',
        '"heartbeat_s":0',
        '"accept_s":NaN',
        '"models":"all"',
        '"models":[%s"x"]' % ('"x",' * 300),
        '"models":["%s"]' % ("x" * 1_000_000),
    ],
    ids=lambda field: field[:24],
)
async def test_a_status_with_a_wild_number_is_no_status(field: str) -> None:
    async with mid_reply() as scene:
        status = b'{"type":"status","state":"ready",%s}' % field.encode()
        await scene.stranger.announce_as("honest", status)
        await scene.stranger.announce_as("wild", status)
        await scene.finish()
        assert scene.transport.dropped == {"status": 2}
        assert [worker.name for worker in scene.transport.workers] == ["honest"]


async def test_who_boasts_of_room_and_does_not_listen_keeps_nobody_waiting() -> None:
    async with mid_reply() as scene:
        boast = Status("ready", max=1_000_000_000, stream=True)
        await scene.stranger.announce_as("boaster", encode(boast))
        while len(scene.transport.workers) < 2:
            await scene.transport.presence_changed()
        assert await answered(scene.transport, scene.worker, "served") == [Delta("served")]
        await scene.finish()
        (boaster, _) = scene.transport.list_workers()
        assert (boaster.name, boaster.set_aside) == ("boaster", True)


async def test_ten_thousand_invented_workers_are_bounded_and_the_honest_one_still_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with mid_reply() as scene:
        invented = encode(Status("ready", max=1_000))
        names = [f"bogus-{number}" for number in range(9_900)]
        await scene.stranger.flood((status_topic(name), invented) for name in names)
        assert await answered(scene.transport, scene.worker, "served") == [Delta("served")]
        await scene.finish()
        assert len(scene.transport.workers) == MAX_WORKERS
        assert len([line for line in caplog.records if line.levelno >= logging.WARNING]) == 1


async def test_a_status_flood_from_one_worker_holds_nobody_up() -> None:
    async with mid_reply() as scene:
        statuses = [encode(Status("ready" if n % 2 else "draining", incarnation=n % 3)) for n in range(9_000)]
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.stranger.announce_as("restless", *statuses))
            assert await answered(scene.transport, scene.worker, "served") == [Delta("served")]
        await scene.finish()
        assert len(scene.transport.workers) == 2
