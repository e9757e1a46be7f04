"""Mode auto over real servers: each may die, the next question is still answered, and each comes back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.looking import look_again
from tests.live.model_server import model_server
from tests.live.programs import ROOT, running_program
from tests.live.test_demo import ready
from tests.live.test_gateway import WATCHABLE, Gateway, running_gateway, running_worker
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, unified_events
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

RIVER = "Tell me about the river."


@asynccontextmanager
async def auto_gateway(
    tmp_path: Path, model_url: str, broker: Mosquitto, **settings: str
) -> AsyncIterator[Gateway]:
    async with running_gateway(
        tmp_path,
        LLM_COMM_MODE="auto",
        LLM_SERVER_URL=model_url,
        MQTT_BROKER_HOST=broker.address.host,
        MQTT_BROKER_PORT=str(broker.address.port),
        **settings,
    ) as gateway:
        yield gateway


async def until_told(gateway: Gateway, words: str) -> None:
    """Wait until /ready contains these words. The test has the deadline."""
    while words not in (await gateway.http.get("/ready")).text:
        await look_again()


async def answer(gateway: Gateway, content: str = RIVER, **more: Any) -> tuple[str, str]:
    """Return the transport named in the stream's metadata, and the one that gave the reply.

    Asserts that the reply is complete, and the same in the stream and in the database.
    """
    metadata, *told, done = await gateway.ask(content, **more)
    kept = await gateway.kept(done, metadata["session_id"])
    text = "".join(event["content"] for event in told if event["type"] == "chunk")
    assert (done["type"], kept["status"]) == ("done", "complete"), done
    assert text == done["full_content"] == kept["content"] != ""
    assert done["mode"] == kept["mode"]
    return metadata["mode"], done["mode"]


async def test_llama_dies_and_a_worker_answers_until_it_is_back(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as ours,
        running_llama(tiny_model_path()) as the_workers,
        running_mosquitto() as broker,
        running_worker(broker, the_workers),
        auto_gateway(tmp_path, ours.url, broker, BREAKER_FAILURES="2", BREAKER_OPEN_S="1") as gateway,
    ):
        await until_told(gateway, "mqtt: ready MQTT workers: 1")
        before = await answer(gateway)
        await ours.kill()
        away = [await answer(gateway) for _ in range(2)]
        await gateway.program.until_said("sse failed 2 times in a row and is suspended for 1 s")
        left_alone = await answer(gateway)
        await ours.start()
        await until_told(gateway, "sse: the model server is ready (breaker half-open)")
        back = [await answer(gateway) for _ in range(2)]
        await gateway.program.until_said("sse answers again")
    assert before == ("sse", "sse")
    assert away == [("sse", "mqtt"), ("sse", "mqtt")]
    assert left_alone in (
        ("mqtt", "mqtt"),
        ("sse", "mqtt"),
    )  # the second: tried again, and still unreachable
    assert back == [("sse", "sse"), ("sse", "sse")]
    assert "Traceback" not in gateway.program.said


async def test_the_broker_dies_and_llama_answers_until_it_is_back(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        running_worker(broker, llama),
        auto_gateway(tmp_path, llama.url, broker, LLM_MODE_ORDER="mqtt,sse") as gateway,
    ):
        await until_told(gateway, "mqtt: ready MQTT workers: 1")
        before = await answer(gateway)
        await broker.kill()
        await until_told(gateway, "mqtt: the MQTT broker is away")
        away = await answer(gateway)
        await broker.start()
        await until_told(gateway, "mqtt: ready MQTT workers: 1 (breaker closed)")
        back = await answer(gateway)
    assert (before, away, back) == (("mqtt", "mqtt"), ("sse", "sse"), ("mqtt", "mqtt"))


async def test_llama_killed_in_mid_reply_is_told_and_no_worker_goes_on_with_it(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path(), *WATCHABLE) as ours,
        running_llama(tiny_model_path()) as the_workers,
        running_mosquitto() as broker,
        running_worker(broker, the_workers),
        auto_gateway(tmp_path, ours.url, broker) as gateway,
    ):
        await until_told(gateway, "mqtt: ready MQTT workers: 1")
        body = {"content": RIVER, "max_tokens": 2000, "options": {"ignore_eos": True}}
        told: list[dict[str, Any]] = []
        async with gateway.http.stream("POST", STREAM, json=body) as response:
            async for event in unified_events(response):
                told.append(event)
                if event["type"] == "chunk":
                    await ours.kill()
        kept = await gateway.kept(told[-1], 1)
        after = await answer(gateway)
    text = "".join(event["content"] for event in told if event["type"] == "chunk")
    assert (told[-1]["type"], told[-1]["mode"], told[-1]["code"]) == ("error", "sse", "upstream_error")
    assert text == told[-1]["full_content"] == kept["content"] != ""
    assert (kept["status"], kept["mode"]) == ("failed", "sse")
    assert after == ("sse", "mqtt")


async def test_a_silent_model_server_costs_its_idle_time_and_no_more(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        model_server() as silent,
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        running_worker(broker, llama),
        auto_gateway(tmp_path, silent.url, broker, LLM_IDLE_S="0.5", BREAKER_FAILURES="1") as gateway,
    ):
        silent.open_with()
        await until_told(gateway, "mqtt: ready MQTT workers: 1")
        answers = [await answer(gateway), await answer(gateway)]
    assert answers == [("sse", "mqtt"), ("mqtt", "mqtt")]


async def test_without_a_broker_only_llama_is_asked(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_gateway(tmp_path, LLM_COMM_MODE="auto", LLM_SERVER_URL=llama.url) as gateway,
    ):
        answered = await answer(gateway)
        told = (await gateway.http.get("/ready")).json()
    assert "mode auto uses sse only: set MQTT_BROKER_HOST to use mqtt" in gateway.program.said
    assert answered == ("sse", "sse")
    assert told["detail"] == "sse: the model server is ready (breaker closed)"


async def test_make_demo_in_mode_auto_answers(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with (
        asyncio.timeout(120),
        running_program("make", "demo", cwd=ROOT, DATABASE_URL=database, LLM_COMM_MODE="auto") as demo,
    ):
        async with plain_http(await ready(demo)) as client:
            answered = await answer(Gateway(demo, client))
        os.killpg(demo.process.pid, signal.SIGINT)
        await demo.ended()
    assert answered == ("sse", "sse")
    assert "(mode auto)" in demo.said
    assert "Traceback" not in demo.said
