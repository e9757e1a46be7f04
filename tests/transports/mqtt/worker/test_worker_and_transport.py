"""Both ends over a broker in memory: what they do when the world misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from gateway.contract.errors import (
    GatewayError,
    ModelRefused,
    NoWorker,
    Unreachable,
    UpstreamFailed,
    WorkerLost,
)
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import TransportInfo
from tests.reading import Batches, events_of, reading
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.protocol.frame_codec import decode_reply, decode_status, encode
from transports.mqtt.protocol.frames import CancelFrame, ErrorFrame, MessageField, RequestFrame, Status
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens, whole

ROOT = "r"
STATUS = "r/workers/w/status"
INBOX = "r/workers/w/inbox"
GATEWAY_STATUS = "r/gateways/gw/status"


def chat(text: str = "hi") -> ChatRequest:
    return ChatRequest(uuid4().hex, [Turn("user", text)], deadline_s=60)


async def until(transport: MqttTransport, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await transport.presence_changed()


async def all_of(transport: MqttTransport, request: ChatRequest) -> list[TransportEvent | Done]:
    async with asyncio.timeout(30):
        return await events_of(transport, request)


class House:
    """A gateway and one worker over a script."""

    def __init__(
        self,
        script: Callable[[ChatRequest], Iterable[Step]],
        *,
        max_concurrent: int = 2,
        gateway_grace_s: float = 5.0,
    ) -> None:
        self.broker = MemoryBroker()
        self.scripted = ScriptedTransport(script)
        self.gateway_link = self.broker.link("gw")
        self.worker_link = self.broker.link("w")
        self.transport = MqttTransport(self.gateway_link, root=ROOT, incarnation=7)
        self.worker = Worker(
            self.scripted,
            self.worker_link,
            root=ROOT,
            incarnation=3,
            coalesce_s=0,
            max_concurrent=max_concurrent,
            gateway_grace_s=gateway_grace_s,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["House"]:
        async with self.transport.running(), self.worker.running():
            async with asyncio.timeout(30):
                await self.transport.until_ready()
            yield self

    def heard(self) -> list[ErrorFrame]:
        """The errors that went to the gateway."""
        said = [decode_reply(payload) for topic, payload in self.broker.log if "/replies/" in topic]
        return [frame for frame in said if isinstance(frame, ErrorFrame)]

    def states(self, topic: str = STATUS) -> list[str]:
        return [decode_status(payload).state for heard, payload in self.broker.log if heard == topic]


@asynccontextmanager
async def mid_reply(
    max_concurrent: int = 2, gateway_grace_s: float = 5.0
) -> AsyncIterator[tuple[House, Batches]]:
    """A house in the middle of a reply that has said "a" and goes on until it is stopped."""
    house = House(lambda _: [[Delta("a")]], max_concurrent=max_concurrent, gateway_grace_s=gateway_grace_s)
    async with house.running(), asyncio.timeout(30), reading(house.transport, chat()) as stream:
        assert await anext(stream) == [Delta("a")]
        yield house, stream


async def test_a_stream_crosses_the_broker_token_by_token() -> None:
    async with House(lambda _: tokens("a", "b", "c")).running() as house:
        assert await all_of(house.transport, chat()) == [Delta("a"), Delta("b"), Delta("c"), Done("stop")]


async def test_a_whole_reply_arrives_whole() -> None:
    async with House(lambda _: whole("in one piece")).running() as house:
        events = await all_of(house.transport, chat())
    assert events == [Delta("in one piece"), Done("stop", whole=(Delta("in one piece"),))]


@pytest.mark.parametrize("error", [ModelRefused("too long"), UpstreamFailed("broke")], ids=lambda e: e.code)
async def test_what_the_model_says_is_wrong_reaches_the_gateway(error: GatewayError) -> None:
    async with House(lambda _: [error]).running() as house:
        with pytest.raises(type(error), match=str(error)):
            await all_of(house.transport, chat())


async def test_a_bug_in_one_reply_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    def script(request: ChatRequest) -> Iterable[Step]:
        if request.turns[-1].content == "bug":
            raise ZeroDivisionError
        return tokens("fine")

    async with House(script).running() as house:
        with pytest.raises(UpstreamFailed):
            await all_of(house.transport, chat("bug"))
        assert (await all_of(house.transport, chat()))[0] == Delta("fine")
    assert "ZeroDivisionError" in caplog.text


async def test_leaving_stops_the_model_and_the_worker_says_so() -> None:
    async with House(lambda _: [[Delta("a")]]).running() as house:
        async with asyncio.timeout(30), reading(house.transport, chat()) as stream:
            await anext(stream)
        async with asyncio.timeout(30):
            await house.worker.idle()
        assert not house.scripted.open_requests
        assert [frame.code for frame in house.heard()] == ["cancelled"]


async def test_a_lost_connection_loses_what_was_seen_and_frees_the_model() -> None:
    async with House(lambda _: [[Delta("a")]]).running() as house:
        async with asyncio.timeout(30), reading(house.transport, chat()) as stream:
            assert await anext(stream) == [Delta("a")]
            house.worker_link.lose_connection()
            with pytest.raises(WorkerLost):
                await anext(stream)
            await house.worker.idle()
        assert not house.scripted.open_requests


async def test_a_reply_that_showed_nothing_survives_the_workers_restart() -> None:
    answer = asyncio.Event()
    async with House(lambda _: [answer.wait, *tokens("late")]).running() as house:
        async with asyncio.timeout(30), reading(house.transport, chat()) as stream:
            await until(house.transport, lambda: house.transport.workers != [])
            house.worker_link.lose_connection()
            await until(house.transport, lambda: not house.transport.workers)
            answer.set()
            house.worker_link.connect()
            events = [event async for batch in stream for event in batch]
        assert events[-2:] == [Delta("late"), Done("stop")]


async def test_without_the_broker_a_request_is_refused_at_once() -> None:
    async with House(lambda _: tokens("a")).running() as house:
        house.gateway_link.lose_connection()
        with pytest.raises(Unreachable) as refused:
            house.transport.admit(None)
        assert refused.value.retry_after_s
        assert not (await house.transport.health()).ok
        assert not house.transport.workers
        house.gateway_link.connect()
        async with asyncio.timeout(30):
            await house.transport.until_ready()
        assert (await all_of(house.transport, chat()))[0] == Delta("a")


async def test_without_a_worker_a_request_is_refused_at_once() -> None:
    transport = MqttTransport(MemoryBroker().link("gw"), root=ROOT)
    async with transport.running():
        with pytest.raises(NoWorker) as refused:
            await all_of(transport, chat())
    assert refused.value.retry_after_s


async def test_what_to_expect_is_what_the_worker_does() -> None:
    house = House(lambda _: whole("x"))
    house.scripted._info = TransportInfo("scripted", "message")
    async with house.running():
        assert house.transport.admit(None).granularity == "message"


async def test_more_than_a_worker_takes_waits_its_turn() -> None:
    async with House(lambda _: tokens("a"), max_concurrent=1).running() as house:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            asked = [group.create_task(all_of(house.transport, chat())) for _ in range(5)]
        assert all(Delta("a") in task.result() for task in asked)
        assert house.heard() == [], "nobody was refused"


async def test_a_full_worker_refuses_another_gateways_request_at_once() -> None:
    async with House(lambda _: [[Delta("a")]], max_concurrent=1).running() as house:
        async with asyncio.timeout(30), reading(house.transport, chat()) as stream:
            await anext(stream)
            foreign = RequestFrame("x" * 32, "r/gateways/other/replies/w", [MessageField("user", "hi")])
            house.worker_link.deliver(INBOX, encode(foreign), False)
        assert next((frame.id, frame.code, frame.retryable) for frame in house.heard()) == (
            "x" * 32,
            "overloaded",
            True,
        )


async def test_a_request_that_comes_twice_runs_once() -> None:
    async with House(lambda _: [[Delta("a")]]).running() as house:
        async with asyncio.timeout(30), reading(house.transport, chat()) as stream:
            await anext(stream)
            (again,) = [payload for topic, payload in house.broker.log if topic == INBOX]
            house.worker_link.deliver(INBOX, again, False)
            assert house.worker.busy == 1
        async with asyncio.timeout(30):
            await house.worker.idle()
        house.worker_link.deliver(INBOX, again, False)
        assert house.worker.busy == 0
        assert len(house.scripted.seen_requests) == 1


async def test_a_cancel_that_overtakes_its_request_still_counts() -> None:
    async with House(lambda _: tokens("a")).running() as house:
        request = RequestFrame("x" * 32, "r/gateways/gw/replies/w", [MessageField("user", "hi")])
        house.worker_link.deliver(INBOX, encode(CancelFrame(request.id)), False)
        house.worker_link.deliver(INBOX, encode(request), False)
        assert house.worker.busy == 0


@pytest.mark.parametrize(
    "reply_to", ["r/gateways/gw/replies/other", "r/workers/w/status", "r/gateways/+/replies/w", "#"]
)
async def test_a_worker_answers_nowhere_but_below_its_name(reply_to: str) -> None:
    async with House(lambda _: tokens("a")).running() as house:
        said = len(house.broker.log)
        house.worker_link.deliver(
            INBOX, encode(RequestFrame("x", reply_to, [MessageField("user", "hi")])), False
        )
        assert house.worker.busy == 0
        assert len(house.broker.log) == said
        assert house.worker.dropped["inbox"] == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"type":"request"}',
        b'{"type":"chunk"}',
        b'{"type":"reply","id":"x","text":"%s"}' % (b"x" * 300_000),
        b'{"type":"cancel","id":"x","reason":"%s"}' % (b"x" * 300_000),
    ],
    ids=range(7),
)
async def test_rubbish_is_counted_and_nothing_else_happens(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with House(lambda _: tokens("a")).running() as house:
        for _ in range(3):
            house.worker_link.deliver(INBOX, payload, False)
            house.gateway_link.deliver("r/gateways/gw/replies/w", payload, False)
        assert house.worker.dropped["inbox"] == 3
        assert house.transport.dropped["reply"] == 3
        assert len(caplog.records) == 2, "one line for each sender"
        assert (await all_of(house.transport, chat()))[0] == Delta("a")


async def test_a_retained_reply_is_dropped() -> None:
    async with mid_reply() as (house, _):
        (reply_id,) = house.transport._requests.open
        payload = b'{"type":"chunk","id":"%s","seq":2,"text":"old"}' % reply_id.encode()
        house.gateway_link.deliver("r/gateways/gw/replies/w", payload, True)
        assert house.transport.dropped["reply"] == 1


async def test_a_worker_that_sees_its_own_lost_says_that_it_is_there() -> None:
    async with House(lambda _: tokens("a")).running() as house:
        house.broker.publish(STATUS, encode(Status("lost", incarnation=3)), retain=True)
        await until(house.transport, lambda: not house.transport.workers)
        async with asyncio.timeout(30):
            await house.transport.until_ready()
        assert house.states()[-2:] == ["lost", "ready"]


async def test_an_earlier_lifes_lost_takes_nothing_away() -> None:
    async with mid_reply() as (house, _):
        house.gateway_link.deliver(STATUS, encode(Status("lost", incarnation=2)), False)
        assert house.transport.workers


async def test_a_worker_stops_for_a_gateway_that_is_gone() -> None:
    async with mid_reply(gateway_grace_s=0.01) as (house, _):
        house.worker_link.deliver(GATEWAY_STATUS, encode(Status("lost", incarnation=6)), False)
        assert not house.worker._gateways._leaving, "that was an earlier life of it"
        house.worker_link.deliver(GATEWAY_STATUS, encode(Status("lost", incarnation=7)), False)
        await house.worker.idle()


async def test_a_gateway_that_is_back_in_time_keeps_its_replies() -> None:
    async with mid_reply() as (house, _):
        house.worker_link.deliver(GATEWAY_STATUS, encode(Status("lost", incarnation=7)), False)
        house.worker_link.deliver(GATEWAY_STATUS, encode(Status("ready", incarnation=7)), False)
        assert not house.worker._gateways._leaving
        assert house.worker.busy == 1


async def test_a_gateways_restart_stops_what_its_earlier_life_asked() -> None:
    async with mid_reply() as (house, _):
        house.worker_link.deliver(GATEWAY_STATUS, encode(Status("ready", incarnation=8)), False)
        await house.worker.idle()


async def test_a_draining_worker_finishes_and_takes_nothing_new() -> None:
    finish = asyncio.Event()
    async with House(lambda _: [[Delta("a")], finish.wait, [Delta("b"), Done("stop")]]).running() as house:
        async with (
            asyncio.timeout(30),
            reading(house.transport, chat()) as stream,
            asyncio.TaskGroup() as group,
        ):
            await anext(stream)
            group.create_task(house.worker.drain(within_s=5))
            await until(house.transport, lambda: not house.transport._presence.ready)
            with pytest.raises(NoWorker):
                house.transport.admit(None)
            finish.set()
            events = [event async for batch in stream for event in batch]
        assert events == [Delta("b"), Done("stop")]
        assert house.states()[-1] == "draining"


async def test_who_leaves_says_lost_first() -> None:
    async with mid_reply() as (house, _):
        pass
    assert house.states()[-1] == "lost"
    assert house.states(GATEWAY_STATUS)[-1] == "lost"
    assert house.states(GATEWAY_STATUS)[0] == "ready"


async def test_a_worker_that_goes_away_gives_its_replies_back() -> None:
    house = House(lambda _: [[Delta("a")]])
    async with house.transport.running(), asyncio.timeout(30):
        async with house.worker.running():
            await house.transport.until_ready()
            stack = reading(house.transport, chat())
            stream = await stack.__aenter__()
            await anext(stream)
        with pytest.raises(WorkerLost):
            await anext(stream)
        await stack.__aexit__(None, None, None)


async def test_models_come_from_the_workers() -> None:
    broker = MemoryBroker()
    transport = MqttTransport(broker.link("gw"), root=ROOT)
    worker = Worker(ScriptedTransport(lambda _: tokens("a")), broker.link("w"), root=ROOT, models=["tiny"])
    async with transport.running(), worker.running(), asyncio.timeout(30):
        await transport.until_ready()
        assert transport.models() == ["tiny"]
        assert (await all_of(transport, chat()))[-1] == Done("stop", "tiny")


async def test_a_gateway_that_drains_says_so() -> None:
    async with House(lambda _: tokens("a")).running() as house, asyncio.timeout(30):
        heard = asyncio.Event()
        watcher: MemoryLink = house.broker.link("watcher")
        watcher.subscribe(GATEWAY_STATUS, lambda *_: heard.set())
        watcher.connect()
        await heard.wait()
        heard.clear()
        house.transport.drain()
        await heard.wait()
        assert house.states(GATEWAY_STATUS)[-1] == "draining"
