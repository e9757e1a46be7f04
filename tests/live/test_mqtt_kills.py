"""A gateway killed with -9 in mid-reply, in front of a real broker, real workers and a real llama.cpp."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.house import House, gateway_of
from tests.live.llama_server import LlamaServer, random_model, requires_llama, running_llama
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.programs import Program
from tests.web.event_source import EventSource, kinds
from tests.web.raw_reader import RawReader

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

READERS = 3
KILLS = 4
TOKENS = 400
CHARS_BEFORE_A_KILL = 150
SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": TOKENS, "options": {"ignore_eos": True}}
NO_MODEL = "http://127.0.0.1:1"


@asynccontextmanager
async def llama() -> AsyncIterator[LlamaServer]:
    options = ("--parallel", str(READERS), "--ctx-per-slot", "2048", "--tokens-per-s", "150")
    async with running_llama(random_model(), *options) as server:
        yield server


@asynccontextmanager
async def worker(port: int, model: LlamaServer, drain_s: int = 20) -> AsyncIterator[Program]:
    address = f"127.0.0.1:{port}"
    options = ("--name", "w", "--broker", address, "--llm-url", model.url)
    async with forked_sluice("worker", *options, DRAIN_S=str(drain_s)) as program:
        await program.until_said("worker w serves")
        yield program


@asynccontextmanager
async def gateway(tmp_path: Path, port: int) -> AsyncIterator[House]:
    settings = {"LLM_COMM_MODE": "mqtt", "MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(port)}
    async with gateway_of(tmp_path, NO_MODEL, GATEWAY_NAME="gateway", **settings) as house:
        yield house


async def own_output(model: LlamaServer, question: str) -> str:
    """Return the model's reply to the question, without a gateway."""
    body = {**SETTINGS, **SETTINGS["options"], "messages": [{"role": "user", "content": question}]}
    async with httpx.AsyncClient(base_url=model.url, timeout=60) as client:
        answer = (await client.post("/v1/chat/completions", json=body)).json()
    return str(answer["choices"][0]["message"]["content"])


async def read_some(readers: list[RawReader]) -> None:
    """Read until each reader has got some more text, or the end."""
    for reader in readers:
        enough = reader.source.chars + CHARS_BEFORE_A_KILL
        await reader.read(lambda reader=reader, enough=enough: reader.source.chars >= enough)  # type: ignore[misc]


async def come_back(house: House, streams: dict[str, EventSource]) -> list[RawReader]:
    return [
        await house.client.come_back(stream_id, source)
        for stream_id, source in streams.items()
        if not source.ended
    ]


async def check(streams: dict[str, EventSource], rows: list[dict[str, Any]], model: LlamaServer) -> None:
    """Assert that readers and database have the model's own output, which was generated once."""
    generated = await model.figure("tokens_predicted_total")
    by_stream = {row["stream_id"]: row for row in rows}
    for number, (stream_id, source) in enumerate(streams.items()):
        (end,) = source.ends
        assert (end["type"], end["reason"]) == ("done", "length"), end
        own = await own_output(model, f"question {number}")
        assert source.text == end["full_content"] == by_stream[stream_id]["content"] == own
        told = [event for event in source.told if event["type"] != "progress"]
        assert kinds(told) == ["metadata", "chunk", "done"]
    assert generated == TOKENS * len(streams)


async def ask(house: House) -> dict[str, EventSource]:
    readers = [await house.begin(f"question {n}", resumable=True, **SETTINGS) for n in range(READERS)]
    await read_some(readers)
    return {reader.stream_id: reader.source for reader in readers}


async def until_a_worker_is_ready(house: House) -> None:
    while (await house.http.get("/ready")).status_code != 200:
        await look_again()


async def test_no_character_is_lost_doubled_or_generated_twice(tmp_path: Path) -> None:
    async with asyncio.timeout(300), running_mosquitto() as broker, llama() as model:
        port = broker.address.port
        async with worker(port, model):
            async with gateway(tmp_path, port) as house:
                await until_a_worker_is_ready(house)
                streams = await ask(house)
                await house.program.end(signal.SIGKILL)
            for _ in range(KILLS - 1):
                async with gateway(tmp_path, port) as house:
                    await read_some(await come_back(house, streams))
                    await house.program.end(signal.SIGKILL)
            async with gateway(tmp_path, port) as house:
                for reader in await come_back(house, streams):
                    await reader.read()
                await check(streams, await house.messages(), model)
                assert house.said_no_errors(), house.program.said


async def test_a_broker_that_dies_with_its_gateway_loses_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(300), running_mosquitto() as broker, llama() as model:
        port = broker.address.port
        async with worker(port, model):
            async with gateway(tmp_path, port) as house:
                await until_a_worker_is_ready(house)
                streams = await ask(house)
                await asyncio.gather(house.program.end(signal.SIGKILL), broker.kill())
            await broker.start()
            async with gateway(tmp_path, port) as house:
                for reader in await come_back(house, streams):
                    await reader.read()
                await check(streams, await house.messages(), model)


async def test_a_broker_that_restarts_under_a_reply_loses_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(300), running_mosquitto() as broker, llama() as model:
        port = broker.address.port
        async with worker(port, model), gateway(tmp_path, port) as house:
            await until_a_worker_is_ready(house)
            readers = [await house.begin(f"question {n}", resumable=True, **SETTINGS) for n in range(READERS)]
            await read_some(readers)
            await broker.kill()
            await broker.start()
            for reader in readers:
                await reader.read()
            streams = {reader.stream_id: reader.source for reader in readers}
            await check(streams, await house.messages(), model)


async def test_a_worker_that_stops_stays_until_the_next_start_has_the_replies(tmp_path: Path) -> None:
    async with asyncio.timeout(300), running_mosquitto() as broker, llama() as model:
        port = broker.address.port
        async with worker(port, model, drain_s=200) as stopping:
            async with gateway(tmp_path, port) as house:
                await until_a_worker_is_ready(house)
                streams = await ask(house)
                await house.program.end(signal.SIGKILL)
            stopping.process.send_signal(signal.SIGTERM)
            await stopping.until_said("draining")
            while await model.busy_slots():
                await look_again()
            async with gateway(tmp_path, port) as house:
                for reader in await come_back(house, streams):
                    await reader.read()
                assert await stopping.ended() == 0
                await check(streams, await house.messages(), model)


async def test_a_worker_that_was_killed_too_is_interrupted(tmp_path: Path) -> None:
    async with asyncio.timeout(300), running_mosquitto() as broker, llama() as model:
        port = broker.address.port
        async with worker(port, model) as killed, gateway(tmp_path, port) as house:
            await until_a_worker_is_ready(house)
            streams = await ask(house)
            await house.program.end(signal.SIGKILL)
            await killed.end(signal.SIGKILL)
        async with worker(port, model), gateway(tmp_path, port) as house:
            for reader in await come_back(house, streams):
                await reader.read()
            rows = {row["stream_id"]: row for row in await house.messages()}
    for stream_id, source in streams.items():
        (end,) = source.ends
        assert (end["type"], end["reason"]) == ("error", "interrupted")
        assert end["full_content"] == rows[stream_id]["content"]
        assert source.text.startswith(end["full_content"]), "it may have more than was stored"
