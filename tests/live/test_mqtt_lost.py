"""Plugs pulled in mid-reply: a real gateway process tells the documented end, keeps it, and serves again."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.hand_worker import HandWorker
from tests.live.llama_server import LONG_CONTEXT, random_model, requires_llama, running_llama
from tests.live.mqtt_house import ending, known, mqtt_gateway, ready, serves
from tests.live.nursery import forked_sluice
from tests.live.programs import Program
from transports.mqtt.protocol.frames import AcceptFrame, ChunkFrame, EndFrame, Status, Whole

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

ENDLESS: dict[str, Any] = {"max_tokens": LONG_CONTEXT, "options": {"ignore_eos": True}}
IMPATIENT = {"IDLE_S": "5"}
"""Longer than a worker that runs is silent on a busy machine."""


@asynccontextmanager
async def worker(broker: Mosquitto, name: str) -> AsyncIterator[Program]:
    """A real `sluice worker` in front of a real llama.cpp that never comes to an end."""
    address = f"127.0.0.1:{broker.address.port}"
    async with AsyncExitStack() as stack:
        arguments = ("--parallel", "2", "--ctx-per-slot", str(LONG_CONTEXT))
        llama = await stack.enter_async_context(running_llama(random_model(), *arguments))
        worker = forked_sluice("worker", "--name", name, "--llm-url", llama.url, "--broker", address)
        yield await stack.enter_async_context(worker)


async def test_a_worker_killed_in_mid_reply_is_told_at_once_and_another_serves(tmp_path: Path) -> None:
    async with running_mosquitto() as broker, mqtt_gateway(tmp_path, broker) as house:
        async with worker(broker, "first") as first:
            await ready(house)
            reader = await house.begin(**ENDLESS)
            first.process.kill()
            assert await ending(house, reader) == ("error", "worker_lost", "worker_lost")
            assert (await house.http.get("/api/chatbot/workers")).json() == []
        async with HandWorker(broker).running() as second:
            await known(house, "honest")
            await serves(house, second)


async def test_a_worker_that_hangs_in_mid_reply_is_a_timeout_and_serves_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker, **IMPATIENT) as house,
        worker(broker, "only") as only,
    ):
        await ready(house)
        reader = await house.begin(**ENDLESS)
        only.process.send_signal(signal.SIGSTOP)
        assert await ending(house, reader) == ("error", "timeout", "timeout")
        assert (await known(house, "only"))["set_aside"]
        refused = await house.http.post("/messages/stream", json={"content": "Anybody?"})
        assert (refused.status_code, refused.json()["code"]) == (503, "no_worker")
        only.process.send_signal(signal.SIGCONT)
        await ready(house)
        waiting = await house.client.ask("Anybody?", **ENDLESS)
        await waiting.begin()
        await house.http.post(f"/messages/stream/{waiting.stream_id}/stop")
        assert await ending(house, waiting) == ("done", "user_stop", "")


async def test_a_worker_that_hangs_before_it_said_anything_is_replaced(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker) as house,
        worker(broker, "roomy") as roomy,
        HandWorker(broker, status=Status("ready", max=1)).running() as honest,
    ):
        assert (await known(house, "roomy"))["max"] == 2
        await known(house, "honest")
        roomy.process.send_signal(signal.SIGSTOP)
        reader = await house.client.ask("Anybody?")
        await honest.say(Whole((await honest.asked()).id, "I am here."))
        assert await ending(house, reader) == ("done", "stop", "")
        assert reader.source.text == "I am here."
        roomy.process.send_signal(signal.SIGCONT)


async def test_a_broker_killed_in_mid_reply_is_told_at_once_and_what_showed_nothing_waits(
    tmp_path: Path,
) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker) as house,
        HandWorker(broker).running() as honest,
    ):
        await known(house, "honest")
        begun = await house.client.ask("Begin!")
        id = (await honest.asked()).id
        await honest.say(AcceptFrame(id), ChunkFrame(id, 1, "kept"))
        await begun.begin()
        silent = await house.client.ask("Wait!")
        await honest.say(AcceptFrame((await honest.asked()).id))
        await broker.kill()
        assert await ending(house, begun) == ("error", "worker_lost", "worker_lost")
        refused = await house.http.post("/messages/stream", json={"content": "Now?"})
        assert (refused.status_code, refused.json()["code"]) == (503, "unreachable")
        assert int(refused.headers["retry-after"]) > 0
        await broker.start()
        await honest.say(Whole((await honest.asked()).id, "Here it is."))
        assert await ending(house, silent) == ("done", "stop", "")
        await serves(house, honest)


async def test_a_broker_that_hangs_in_mid_reply_is_a_timeout_and_all_is_well_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker, **IMPATIENT) as house,
        HandWorker(broker).running() as honest,
    ):
        await known(house, "honest")
        begun = await house.client.ask("Begin!")
        request = await honest.asked()
        await honest.say(AcceptFrame(request.id), ChunkFrame(request.id, 1, "kept"))
        await begun.begin()
        broker.freeze()
        assert await ending(house, begun) == ("error", "timeout", "timeout")
        broker.thaw()
        assert (await honest.cancelled()).id == request.id
        await ready(house)  # a silent worker is set aside for a while
        waiting = await house.client.ask("Anybody?")
        await honest.say(ChunkFrame(request.id, 2, "late"), EndFrame(request.id, 3))
        await honest.say(Whole((await honest.asked()).id, "I am."))
        assert await ending(house, waiting) == ("done", "stop", "")
        await serves(house, honest)


async def test_a_worker_started_again_in_mid_reply_has_lost_it(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker) as house,
        HandWorker(broker, status=Status("ready", incarnation=1)).running() as honest,
    ):
        await known(house, "honest")
        begun = await house.client.ask("Begin!")
        request = await honest.asked()
        await honest.say(AcceptFrame(request.id), ChunkFrame(request.id, 1, "kept"))
        await begun.begin()
        await honest.announce_as("honest", b'{"type":"status","state":"ready","incarnation":2}')
        assert await ending(house, begun) == ("error", "worker_lost", "worker_lost")
        assert (await honest.cancelled()).id == request.id
        await serves(house, honest)
