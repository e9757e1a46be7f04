"""Which ends of a reply set its worker aside."""

import asyncio

import pytest

from gateway.contract.errors import FrameGap, ProtocolViolation, TimedOut
from tests.reading import reading
from tests.transports.mqtt.memory_link import MemoryBroker
from tests.transports.mqtt.requests.test_pending_request import WITH_ACCEPT, Gateway, failure_of
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    AliveFrame,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    Status,
    Whole,
)
from transports.mqtt.protocol.topics import reply_topic
from transports.mqtt.requests.presence import KnownWorker
from transports.mqtt.requests.transport import MqttTransport


def worker_of(gateway: Gateway) -> KnownWorker:
    worker = gateway.presence.find("a")
    assert worker is not None
    return worker


async def test_accept_and_then_nothing_to_see_until_the_deadline_is_a_failure() -> None:
    gateway = Gateway(WITH_ACCEPT)
    reply = gateway.ask(deadline_s=60)
    gateway.say(AcceptFrame(gateway.attempt_id()))
    for seq in range(1, 6):
        gateway.clock.advance(11.0)
        gateway.say(AliveFrame(gateway.attempt_id(), seq))
    gateway.clock.advance(5.0)
    assert type(await failure_of(reply)) is TimedOut
    assert not worker_of(gateway).ready


async def test_a_reader_that_leaves_at_the_deadline_because_nothing_came_is_a_failure_too() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask(deadline_s=60)
    gateway.clock.advance(59.9)
    reply.leave()
    assert not worker_of(gateway).ready


async def test_silence_in_mid_reply_is_a_failure() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "x"))
    gateway.clock.advance(30.0)
    assert reply.news()
    assert type(await failure_of(reply)) is TimedOut
    assert not worker_of(gateway).ready


async def test_a_long_answer_that_meets_the_deadline_is_none() -> None:
    gateway = Gateway(Status("ready"))
    gateway.ask(deadline_s=20)
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "x"))
    gateway.clock.advance(20.0)
    assert worker_of(gateway).ready


async def test_a_reader_that_leaves_and_an_error_that_is_said_are_none() -> None:
    gateway = Gateway(Status("ready"))
    gateway.ask().leave()
    gateway.ask()
    gateway.say(ErrorFrame(gateway.attempt_id(), "model_refused", "no", False))
    assert worker_of(gateway).ready
    assert not worker_of(gateway).record.proven


@pytest.mark.parametrize("whole", [True, False])
async def test_a_whole_reply_is_an_answer(whole: bool) -> None:
    gateway = Gateway(Status("ready"))
    gateway.ask()
    gateway.say(Whole(gateway.attempt_id(), "x") if whole else EndFrame(gateway.attempt_id(), 1))
    assert worker_of(gateway).record.proven


async def test_a_reply_that_says_things_twice_is_a_failure() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "x"))
    gateway.say(Whole(gateway.attempt_id(), "x"))
    assert reply.news()
    assert type(await failure_of(reply)) is ProtocolViolation
    assert not worker_of(gateway).ready


async def test_a_length_that_does_not_fit_is_a_failure() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "x"))
    gateway.say(EndFrame(gateway.attempt_id(), 2, length=99))
    assert reply.news()
    assert type(await failure_of(reply)) is FrameGap
    assert not worker_of(gateway).ready


async def test_a_hole_that_does_not_fill_is_a_failure() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 7, "x"))
    gateway.clock.advance(2.0)
    assert type(await failure_of(reply)) is FrameGap
    assert not worker_of(gateway).ready


class Rubbish:
    """A transport with two open requests at worker w and one at v, and frames that cannot be read."""

    def __init__(self) -> None:
        broker = MemoryBroker()
        self.link = broker.link("gw")
        self.transport = MqttTransport(self.link, root="r")
        worker = broker.link("w")
        worker.subscribe("r/workers/w/inbox", lambda *_: None)
        worker.connect()

    def say(self, worker: str, payload: bytes, *, retained: bool = False) -> None:
        self.link.deliver(reply_topic("r", "gw", worker), payload, retained)

    def status(self, worker: str, status: bytes) -> None:
        self.link.deliver(f"r/workers/{worker}/status", status, False)


BROKEN = [
    b'{"type":"chunk","id":"ID","seq":"x","text":"a"}',
    b'{"type":"reply","id":"ID","text":"it said "quoted""}',
    b'{"type":"reply","id":"ID","text":"a',
    b'{"id":"ID","seq":1,"text":"a"}',
    b'{"type":"chunk","id":"ID","seq":1}',
    b'{"type":"chunk","id":"ID","seq":1,"text":"\xff"}',
]


@pytest.mark.parametrize("payload", BROKEN)
async def test_a_frame_that_cannot_be_read_ends_the_reply_whose_id_it_has(payload: bytes) -> None:
    at = Rubbish()
    async with at.transport.running(), asyncio.timeout(30):
        at.status("w", b'{"type":"status","state":"ready","max":2}')
        async with (
            reading(at.transport, Gateway.request()) as first,
            reading(at.transport, Gateway.request()),
        ):
            ids = list(at.transport._requests.open)
            at.say("w", payload.replace(b"ID", ids[0].encode()))
            with pytest.raises(ProtocolViolation):
                await anext(first)
            assert list(at.transport._requests.open) == [ids[1]]
            assert at.transport.dropped == {"reply": 1}


@pytest.mark.parametrize("payload", [b"hello", b"\x00", b"[]", b"{", b"[" * 5_000])
async def test_rubbish_ends_the_only_reply_of_its_worker_and_none_of_several(payload: bytes) -> None:
    at = Rubbish()
    async with at.transport.running(), asyncio.timeout(30):
        at.status("w", b'{"type":"status","state":"ready","max":2}')
        async with reading(at.transport, Gateway.request()) as first:
            async with reading(at.transport, Gateway.request()):
                at.say("w", payload)
                assert len(at.transport._requests.open) == 2, "whose it is cannot be told"
            at.say("v", payload)
            at.say("w", payload, retained=True)
            assert len(at.transport._requests.open) == 1
            at.say("w", payload)
            with pytest.raises(ProtocolViolation):
                await anext(first)


@pytest.mark.parametrize(
    "payload",
    [b"", b'{"type":"detached","id":"ID"}', b'{"type":"status","state":"lost"}', b'{"type":"new","seq":2}'],
)
async def test_a_type_of_another_version_and_an_empty_message_end_nothing(payload: bytes) -> None:
    at = Rubbish()
    async with at.transport.running(), asyncio.timeout(30):
        at.status("w", b'{"type":"status","state":"ready"}')
        async with reading(at.transport, Gateway.request()):
            (id,) = at.transport._requests.open
            at.say("w", payload.replace(b"ID", id.encode()))
            assert list(at.transport._requests.open) == [id]
