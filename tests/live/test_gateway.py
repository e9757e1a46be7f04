"""The real server process in front of real servers that die and come back; the gateway is never restarted."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.llama_server import LlamaServer, requires_llama, running_llama
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.programs import Program
from tests.plain_http import plain_http
from tests.store.migrated import migrated
from tests.web.gateway_server import STREAM, unified_events
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

WATCHABLE = ("--tokens-per-s", "100")  # no reply of 2000 tokens ends before it is cut
JSON = {"accept": "application/json"}  # else a refusal on a stream's endpoint is a frame


@dataclass
class Gateway:
    program: Program
    http: httpx.AsyncClient

    async def ask(self, content: str, **more: Any) -> list[dict[str, Any]]:
        body = {"content": content, **more}
        async with self.http.stream("POST", STREAM, json=body) as response:
            assert response.status_code == 200, await response.aread()
            return [event async for event in unified_events(response)]

    async def kept(self, event: dict[str, Any], session_id: int) -> dict[str, Any]:
        """The stored message that an event names."""
        told = (await self.http.get(f"/api/chatbot/sessions/{session_id}/messages")).json()
        (message,) = [message for message in told if message["id"] == event["assistant_message_id"]]
        return dict(message)

    async def until_ready(self) -> None:
        await self._until_ready_says(200)

    async def until_not_ready(self) -> None:
        """`/ready` may be a second old: it must have noticed a loss before a return can be waited for."""
        await self._until_ready_says(503)

    async def _until_ready_says(self, status: int) -> None:
        async with asyncio.timeout(120):
            while (await self.http.get("/ready")).status_code != status:
                await look_again()


@asynccontextmanager
async def running_gateway(tmp_path: Path, **settings: str) -> AsyncIterator[Gateway]:
    settings = {"PORT": "0", "DATABASE_URL": migrated(tmp_path / "gateway.db"), **settings}
    async with forked_sluice("serve", cwd=None, **settings) as program:
        listening = await program.until_said(r"listening on (http://\S+)")
        async with plain_http(listening[1], headers=JSON) as client:
            yield Gateway(program, client)


@asynccontextmanager
async def running_worker(broker: Mosquitto, llama: LlamaServer, name: str = "w") -> AsyncIterator[Program]:
    address = f"{broker.address.host}:{broker.address.port}"
    options = ("--name", name, "--llm-url", llama.url, "--broker", address)
    async with forked_sluice("worker", *options) as worker:
        await worker.until_said("worker .* serves")
        yield worker


async def test_llama_may_die_and_come_back_between_two_questions(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_gateway(tmp_path, LLM_SERVER_URL=llama.url) as gateway,
    ):
        first = await gateway.ask("Tell me about the river.")
        await llama.kill()
        away = await gateway.ask("Tell me about the boat.", session_id=1)
        not_ready = await gateway.http.get("/ready")
        await llama.start()
        back = await gateway.ask("Tell me about the lamp.", session_id=1)
        kept = [await gateway.kept(events[-1], 1) for events in (first, away, back)]
    assert [events[-1]["type"] for events in (first, away, back)] == ["done", "error", "done"]
    assert (away[-1]["code"], away[-1]["reason"]) == ("unreachable", "upstream_error")
    assert not_ready.status_code == 503
    assert [message["status"] for message in kept] == ["complete", "failed", "complete"]
    assert [message["content"] for message in kept] == [
        events[-1]["full_content"] for events in (first, away, back)
    ]


async def test_llama_killed_in_mid_reply_is_told_and_what_was_said_is_kept(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path(), *WATCHABLE) as llama,
        running_gateway(tmp_path, LLM_SERVER_URL=llama.url) as gateway,
    ):
        body = {"content": "Tell me about the river.", "max_tokens": 2000, "options": {"ignore_eos": True}}
        async with gateway.http.stream("POST", STREAM, json=body) as response:
            told: list[dict[str, Any]] = []
            async for event in unified_events(response):
                told.append(event)
                if event["type"] == "chunk":
                    await llama.kill()
        kept = await gateway.kept(told[-1], 1)
    said = "".join(event["content"] for event in told if event["type"] == "chunk")
    assert (told[-1]["type"], told[-1]["reason"]) == ("error", "upstream_error")
    assert said == told[-1]["full_content"] == kept["content"] != ""
    assert kept["status"] == "failed"


async def test_broker_and_worker_may_die_and_come_back_between_two_questions(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(300),
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        running_gateway(
            tmp_path,
            LLM_COMM_MODE="mqtt",
            MQTT_BROKER_HOST=broker.address.host,
            MQTT_BROKER_PORT=str(broker.address.port),
        ) as gateway,
    ):
        nobody = await gateway.http.post(STREAM, json={"content": "Hi"})
        while nobody.json()["code"] == "unreachable":  # its connection to the broker is not up yet
            nobody = await gateway.http.post(STREAM, json={"content": "Hi"})
        async with running_worker(broker, llama):
            await gateway.until_ready()
            first = await gateway.ask("Tell me about the river.")
            await broker.kill()
            await gateway.program.until_said("lost the MQTT broker")
            no_broker = await gateway.http.post(STREAM, json={"content": "Hi"})
            await gateway.until_not_ready()
            await broker.start()
            await gateway.until_ready()
            second = await gateway.ask("Tell me about the boat.", session_id=1)
        await gateway.until_not_ready()
        async with running_worker(broker, llama, "another"):
            await gateway.until_ready()
            third = await gateway.ask("Tell me about the lamp.", session_id=1)
    assert (nobody.status_code, nobody.json()["code"]) == (503, "no_worker")
    assert (no_broker.status_code, no_broker.json()["code"]) == (503, "unreachable")
    assert "retry-after" in no_broker.headers
    for events in (first, second, third):
        assert (events[-1]["type"], events[-1]["mode"], events[-1]["delivery"]) == ("done", "mqtt", "token")
        chunks = [event["content"] for event in events if event["type"] == "chunk"]
        assert "".join(chunks) == events[-1]["full_content"] != ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_by_itself_with_exit_code_0(tmp_path: Path, number: int) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_gateway(tmp_path, LLM_SERVER_URL=llama.url) as gateway,
    ):
        await gateway.ask("Tell me about the river.")
        code = await gateway.program.end(number)
    assert code == 0
    assert "ERROR" not in gateway.program.said
    assert "Traceback" not in gateway.program.said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LLM_COMM_MODE": "smoke"}, ["LLM_COMM_MODE=smoke", "'sse'"]),
        ({"LLM_COMM_MODE": "mqtt"}, ["LLM_COMM_MODE=mqtt needs MQTT_BROKER_HOST"]),
        ({"HOST": "0.0.0.0"}, ["HOST=0.0.0.0", "ALLOW_OPEN=1"]),
        ({"DATABASE_URL": "mysql+aiomysql://u:secret@h/d"}, ["DATABASE_URL"]),
        ({"MQTT_BROKER_HOST": "x", "MQTT_TLS": "1", "MQTT_CA_FILE": "/nowhere.pem"}, ["MQTT_CA_FILE"]),
    ],
)
async def test_a_wrong_setting_stops_the_start_with_one_line(
    tmp_path: Path, settings: dict[str, str], words: list[str]
) -> None:
    settings = {"PORT": "0", **settings}
    async with asyncio.timeout(120), forked_sluice("serve", cwd=tmp_path, **settings) as program:
        code = await program.ended()
    assert code == 2
    assert program.said.startswith("sluice: ")
    assert program.said.count("\n") == 1
    assert all(word in program.said for word in words), program.said
    assert "secret" not in program.said


async def test_a_taken_port_is_one_line_too(tmp_path: Path) -> None:
    async with asyncio.timeout(120), running_gateway(tmp_path) as gateway:
        port = str(gateway.http.base_url.port)
        other = f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"
        async with forked_sluice("serve", PORT=port, DATABASE_URL=other) as second:
            code = await second.ended()
    assert (code, second.said.count("\n")) == (2, 1)
    assert f"PORT={port}" in second.said


async def test_a_second_process_on_the_same_database_is_refused(tmp_path: Path) -> None:
    async with asyncio.timeout(120), running_gateway(tmp_path):
        database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
        async with forked_sluice("serve", PORT="0", DATABASE_URL=database) as second:
            code = await second.ended()
    assert code != 0
    assert "gateway.db" in second.said
