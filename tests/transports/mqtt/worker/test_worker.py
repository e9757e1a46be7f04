"""A worker alone: what it tells of itself, what it refuses, and what it forgets."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Literal
from uuid import uuid4

import pytest

from gateway.contract.errors import Loading, Overloaded
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt import status_announcer as announcer
from transports.mqtt.link.link import Envelope, Receipt
from transports.mqtt.protocol.frame_codec import decode_reply, decode_status, encode
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    EndFrame,
    ErrorFrame,
    MessageField,
    ReplyFrame,
    RequestFrame,
    Status,
)
from transports.mqtt.worker.gateways import KNOWN_GATEWAYS
from transports.mqtt.worker.running_requests import REMEMBERED_IDS
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens

STATUS = "r/workers/w/status"
INBOX = "r/workers/w/inbox"
REPLIES = "r/gateways/gw/replies/w"


class Queueing(ScriptedTransport):
    """Tells a place in the queue for each model."""

    @property
    def abilities(self) -> Abilities:
        return Abilities(place_in_queue=self.place_in_queue)

    def place_in_queue(self, model: str | None) -> int:
        return {"busy": 3}.get(model or "", 0)


class Scene:
    """One worker over a script, and a hand in the gateway's place. full: the link takes nothing more."""

    def __init__(self, script: Callable[[ChatRequest], Iterable[Step]] = lambda _: [[Delta("a")]]) -> None:
        self.broker = MemoryBroker()
        self.transport = Queueing(script)
        self.link = Link(self.broker)
        self.worker = Worker(
            self.transport, self.link, root="r", incarnation=3, max_concurrent=2, gateway_grace_s=0.01
        )
        self.heard: asyncio.Queue[ReplyFrame] = asyncio.Queue()
        self.told: asyncio.Queue[Status] = asyncio.Queue()
        ear = self.broker.link("gw")
        ear.subscribe(REPLIES, lambda _, payload, __: self.heard.put_nowait(decode_reply(payload)))
        ear.subscribe(STATUS, lambda _, payload, __: self.told.put_nowait(decode_status(payload)))
        ear.connect()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scene"]:
        async with asyncio.timeout(30), self.worker.running():
            assert (await self.told.get()).state == "ready"
            yield self

    def ask(self, model: str | None = None) -> str:
        request = RequestFrame(uuid4().hex, REPLIES, [MessageField("user", "hi")], model=model)
        self.link.deliver(INBOX, encode(request), False)
        return request.id

    async def error(self) -> tuple[str, bool]:
        """Code and retryable of the next error."""
        while not isinstance(frame := await self.heard.get(), ErrorFrame):
            pass
        return frame.code, frame.retryable

    def hear_gateway(self, state: str, incarnation: int, name: str = "gw") -> None:
        status = b'{"type":"status","state":"%b","incarnation":%d}' % (state.encode(), incarnation)
        self.link.deliver(f"r/gateways/{name}/status", status, False)


class Link(MemoryLink):
    full = False

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker, "w", max_payload=2_000)
        broker.links.append(self)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> asyncio.Future[Receipt]:
        if self.full:
            raise Overloaded("too many messages wait for the MQTT broker")
        return super().publish(topic, payload, retain=retain, envelope=envelope)


async def test_without_anything_to_serve_with_it_drains_and_is_ready_again_after() -> None:
    async with Scene().running() as scene:
        scene.worker.offer([], 0)
        status = await scene.told.get()
        assert (status.state, status.models) == ("draining", [])
        scene.ask()
        assert await scene.error() == ("unreachable", True)
        scene.worker.offer(["a", "b"], 7)
        status = await scene.told.get()
        assert (status.state, status.models, status.max) == ("ready", ["a", "b"], 7)


async def test_a_request_that_has_to_wait_for_a_slot_is_told_its_place() -> None:
    async with Scene().running() as scene:
        for model, place in ((None, 0), ("busy", 3)):
            request_id = scene.ask(model)
            frames = [await scene.heard.get(), await scene.heard.get()]
            assert AcceptFrame(request_id, 0, place) in frames


async def test_a_server_that_is_still_loading_is_a_reason_to_ask_another_worker() -> None:
    async with Scene(lambda _: [Loading("not yet")]).running() as scene:
        scene.ask()
        assert await scene.error() == ("loading", True)


async def test_how_busy_it_is_is_told_at_once_when_full_and_soon_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(announcer, "SOON_S", 0.01)
    finish = asyncio.Event()
    async with Scene(lambda _: [finish.wait, [Delta("a"), Done("stop")]]).running() as scene:
        scene.ask()
        assert (await scene.told.get()).busy == 1
        scene.ask()
        assert (await scene.told.get()).busy == 2
        finish.set()
        assert (await scene.told.get()).busy == 0


async def test_many_changes_are_told_together() -> None:
    async with Scene(lambda _: tokens("a")).running() as scene:
        for _ in range(50):
            scene.ask()
            while not isinstance(await scene.heard.get(), EndFrame):
                pass
            await scene.worker.idle()
        assert scene.told.empty()


async def test_while_it_drains_it_refuses_so_that_another_is_asked() -> None:
    async with Scene().running() as scene, asyncio.TaskGroup() as group:
        scene.ask()
        drained = group.create_task(scene.worker.drain(within_s=5))
        while (await scene.told.get()).state != "draining":
            pass
        scene.ask()
        assert await scene.error() == ("worker_lost", True)
        assert scene.worker.busy == 1
        scene.hear_gateway("lost", 0)
        await drained


async def test_what_a_drain_does_not_wait_for_is_given_back() -> None:
    async with Scene().running() as scene:
        scene.ask()
        await scene.worker.drain(within_s=0.01)
        assert await scene.error() == ("worker_lost", True)
        assert not scene.transport.open_requests


async def test_a_link_that_takes_nothing_more_costs_one_reply_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    more = asyncio.Event()
    async with Scene(lambda _: [[Delta("a")], more.wait, [Delta("b" * 600)]]).running() as scene:
        scene.ask()
        scene.ask()
        assert (await scene.told.get()).busy == 2
        scene.link.full = True
        for _ in range(50):
            scene.ask()
        more.set()
        await scene.worker.idle()
        assert scene.worker.dropped["unsaid"] == 50
        scene.link.full = False
        scene.worker.offer(["still here"], 2)
        while (await scene.told.get()).models != ["still here"]:
            pass
    assert len(caplog.records) == 2, "one for the refusals, one for the status"


async def test_models_that_no_message_can_carry_are_one_line_and_the_worker_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Scene(lambda _: tokens("a")).running() as scene:
        for count in (1, 2, 1, 2):
            scene.worker.offer(["x" * 3_000], count)
            scene.ask()
            await scene.worker.idle()
        scene.ask()
        while not isinstance(await scene.heard.get(), EndFrame):
            pass
        scene.worker.offer(["y"], 2)
        while (await scene.told.get()).models != ["y"]:
            pass
    assert len(caplog.records) == 1


async def test_a_gateway_never_heard_of_may_be_lost_too() -> None:
    async with Scene().running() as scene:
        scene.ask()
        scene.hear_gateway("lost", 9)
        await scene.worker.idle()
        assert not scene.transport.open_requests


async def test_a_million_gateways_are_not_remembered(caplog: pytest.LogCaptureFixture) -> None:
    async with Scene().running() as scene:
        for number in range(3 * KNOWN_GATEWAYS):
            scene.hear_gateway("ready", 1, f"ready-{number}")
            scene.hear_gateway("lost", 1, f"lost-{number}")
            scene.hear_gateway("rubbish", 1, f"rubbish-{number}")
        watch = scene.worker._gateways
        assert (len(watch._lives), len(watch._leaving)) == (KNOWN_GATEWAYS, KNOWN_GATEWAYS)
        assert len(caplog.records) == len(scene.worker.dropped._logged) == 1_000
        assert scene.worker.dropped["status"] == 3 * KNOWN_GATEWAYS


async def test_too_large_a_status_is_dropped_and_not_read() -> None:
    async with Scene().running() as scene:
        scene.ask()
        await scene.heard.get()
        padding = "x" * 3_000
        lost = b'{"type":"status","state":"lost","pad":"%b"}' % padding.encode()
        scene.link.deliver("r/gateways/gw/status", lost, False)
        assert scene.worker.dropped["status"] == 1
        assert not scene.worker._gateways._leaving


async def test_2000_requests_leave_nothing_behind() -> None:
    async with Scene(lambda _: tokens("some", " text")).running() as scene:

        async def serve(count: int) -> int:
            for _ in range(count):
                scene.ask()
                await scene.worker.idle()
            for kept in (scene.transport.seen_requests, scene.broker.log, scene.link.sent):
                kept.clear()
            while not scene.heard.empty():
                scene.heard.get_nowait()
            gc.collect()
            return sys.getallocatedblocks()

        before = await serve(REMEMBERED_IDS)
        grown = await serve(2_000) - before
        assert len(scene.worker._requests._remembered) == REMEMBERED_IDS
        assert grown < 500, f"{grown} objects more"


@pytest.mark.parametrize("state", ["ready", "lost"])
async def test_another_worker_of_its_name_is_one_line_in_its_log(
    state: Literal["ready", "lost"], caplog: pytest.LogCaptureFixture
) -> None:
    """Their connections end each other, and with them replies."""
    scene = Scene()
    scene.link.deliver(STATUS, encode(Status("ready", incarnation=9)), True)
    async with scene.running():
        assert "another worker" not in caplog.text, "it may be of an earlier start"
        scene.link.deliver(STATUS, encode(Status("lost", incarnation=2)), False)
        assert "another worker" not in caplog.text, "it is the will of an earlier start"
        for incarnation in (4, 5):
            scene.link.deliver(STATUS, encode(Status(state, incarnation=incarnation)), True)
    assert caplog.text.count("another worker named w uses the same MQTT broker") == 1
