"""`sluice worker` as a process between real llama.cpp servers and a real broker, and what it survives."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx
import pytest

from gateway.contract.events import Delta
from gateway.contract.record import replace
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import (
    exactly,
    random_model,
    requires_llama,
    running_llama,
)
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.programs import running_program
from tests.live.test_gateway import running_gateway
from tests.live.worker_program import gateway, hang_up_on, two_servers, worker
from tests.plain_http import plain_http
from tests.reading import reading
from transports.llama.embedded_server import tiny_model_path
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.protocol.frames import AcceptFrame, ChunkFrame, EndFrame, ErrorFrame
from transports.mqtt.requests.transport import MqttTransport

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

SLOWLY = ("--tokens-per-s", "400")  # a reply takes 10 s, so that all comes before its end that should

NOT_FOR_WORKERS = (
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlmodel",
    "sqlalchemy",
    "alembic",
    "aiosqlite",
    "opentelemetry",
    "gateway.web",
    "gateway.store",
    "gateway.core",
    "gateway.assembly",
)


async def test_servers_that_die_leave_the_status_and_come_back_by_themselves() -> None:
    async with asyncio.timeout(120), two_servers() as (first, second), running_mosquitto() as broker:
        urls = (first.url, second.url)
        async with gateway(broker) as hand, worker(broker, *urls, options=("--health-port", "0")) as program:
            page = (await program.until_said(r"are served on (http://\S+)"))[1]
            assert (await hand.status(state="ready", max=5)).models == ["first", "second"]
            await first.kill()
            assert (await hand.status(state="ready", max=3)).models == ["second"]
            await second.kill()
            assert (await hand.status(state="draining")).models == []
            request_id = await hand.ask()
            refused = await hand.frame(request_id, ErrorFrame)
            assert isinstance(refused, ErrorFrame)
            assert (refused.code, refused.retryable) == ("unreachable", True)
            async with plain_http(page) as http:
                away = await http.get("/ready")
                assert (await http.get("/health")).status_code == 200
            await second.start("--alias", "second", "--parallel", "1")
            assert (await hand.status(state="ready", max=1)).models == ["second"]
            await first.start()
            await hand.status(state="ready", max=3)
            async with plain_http(page) as http:
                ready = await http.get("/ready")
    assert (away.status_code, ready.status_code) == (503, 200)
    assert away.json()["state"] == "draining"
    assert [server["ok"] for server in away.json()["servers"]] == [False, False]
    assert ready.json() == {
        "state": "ready",
        "broker": "connected",
        "servers": [
            {
                "url": url,
                "ok": True,
                "detail": "the model server is ready",
                "models": [model],
                "slots": slots,
                "open": 0,
            }
            for url, model, slots in ((first.url, "first", 2), (second.url, "second", 1))
        ],
        "busy": 0,
        "max": 3,
    }


async def test_the_model_picks_the_server() -> None:
    async with asyncio.timeout(120), two_servers() as (first, second), running_mosquitto() as broker:
        transport = MqttTransport(AiomqttLink(broker.address, client_id="gw"))
        async with worker(broker, first.url, second.url), transport.running():
            await transport.until_ready()
            for server, model in ((second, "second"), (first, "first"), (first, "nobody's"), (first, None)):
                before = await server.figure("tokens_predicted_total")
                async with reading(transport, replace(exactly("yes"), model=model)) as stream:
                    events = [event async for batch in stream for event in batch]
                assert "".join(event.text for event in events if isinstance(event, Delta)) == "yes"
                assert await server.figure("tokens_predicted_total") > before


async def test_more_than_its_slots_is_told_its_place() -> None:
    async with (
        asyncio.timeout(120),
        running_llama(random_model(), "--parallel", "1", "--ctx-per-slot", "8192", *SLOWLY) as llama,
        running_mosquitto() as broker,
        gateway(broker) as hand,
        worker(broker, llama.url, options=("--max", "2")),
    ):
        await hand.status(state="ready", max=2)
        queues = []
        for _ in range(2):
            request_id = await hand.ask()
            frame = await hand.frame(request_id, AcceptFrame)
            assert isinstance(frame, AcceptFrame)
            queues.append(frame.queue)
    assert queues == [0, 1]


async def test_a_drain_finishes_what_runs_and_refuses_the_rest() -> None:
    async with (
        asyncio.timeout(120),
        running_llama(random_model(), "--ctx-per-slot", "32768", *SLOWLY) as llama,
        running_mosquitto() as broker,
        gateway(broker) as hand,
        worker(broker, llama.url) as program,
    ):
        await hand.status(state="ready")
        running = await hand.ask()
        await hand.frame(running, ChunkFrame)
        program.process.send_signal(signal.SIGTERM)
        await hand.status(state="draining")
        late = await hand.ask()
        refused = await hand.frame(late, ErrorFrame, EndFrame)
        assert isinstance(refused, ErrorFrame)
        assert refused.retryable
        assert isinstance(await hand.frame(running, EndFrame, ErrorFrame), EndFrame)
        await hand.status(state="lost")
        assert await program.ended() == 0
        async with gateway(broker) as another:
            assert (await another.statuses.get()).state == "lost", "retained"
    assert "ERROR" not in program.said
    assert "Traceback" not in program.said


async def test_a_second_signal_ends_it_at_once_and_the_model_too() -> None:
    async with (
        asyncio.timeout(120),
        running_llama(random_model(), "--ctx-per-slot", "32768", *SLOWLY) as llama,
        running_mosquitto() as broker,
        gateway(broker) as hand,
        worker(broker, llama.url) as program,
    ):
        await hand.status(state="ready")
        running = await hand.ask()
        await hand.frame(running, ChunkFrame)
        program.process.send_signal(signal.SIGINT)
        await hand.status(state="draining")
        program.process.send_signal(signal.SIGTERM)
        given_back = await hand.frame(running, EndFrame, ErrorFrame)
        assert isinstance(given_back, ErrorFrame)
        assert (given_back.code, given_back.retryable) == ("worker_lost", True)
        await hand.status(state="lost")
        assert await program.ended() == 0
        while await llama.busy_slots():
            await look_again()


async def test_a_frozen_broker_does_not_keep_it_from_leaving() -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        gateway(broker) as hand,
        worker(broker, llama.url) as program,
    ):
        await hand.status(state="ready")
        broker.freeze()
        assert await program.end(signal.SIGTERM) == 0


async def test_after_kill_9_its_will_says_that_it_is_lost() -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        gateway(broker) as hand,
        worker(broker, llama.url) as program,
    ):
        alive = await hand.status(state="ready")
        await program.end(signal.SIGKILL)
        assert (await hand.status(state="lost")).incarnation == alive.incarnation


async def test_a_broker_that_goes_and_comes_is_one_line_each() -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        gateway(broker) as hand,
        worker(broker, llama.url, options=("--health-port", "0")) as program,
        plain_http() as http,
    ):
        page = (await program.until_said(r"are served on (http://\S+)"))[1]
        await hand.status(state="ready")
        await broker.kill()
        await program.until_said("lost the MQTT broker")
        away = await http.get(page + "/ready")
        assert (away.status_code, away.json()["broker"]) == (503, "away")
        await hang_up_on(3, broker)
        await broker.start()
        await hand.status(state="ready")
        await program.end(signal.SIGTERM)
    about_broker = [line for line in program.said.splitlines() if "MQTT" in line]
    assert len(about_broker) == 2, program.said
    assert "lost" in about_broker[0]
    assert "connected" in about_broker[1]


async def test_it_stops_for_a_gateway_that_was_killed(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(random_model(), "--ctx-per-slot", "32768") as llama,
        running_mosquitto() as broker,
        worker(broker, llama.url),
        running_gateway(
            tmp_path,
            LLM_COMM_MODE="mqtt",
            MQTT_BROKER_HOST="127.0.0.1",
            MQTT_BROKER_PORT=str(broker.address.port),
        ) as front,
    ):
        await front.until_ready()
        body = {"content": "go on", "max_tokens": 30_000, "options": {"ignore_eos": True}}
        async with front.http.stream("POST", "/messages/stream", json=body) as response:
            lines = response.aiter_lines()
            while '"chunk"' not in await anext(lines):
                pass
            assert await llama.busy_slots() == 1
            await front.program.end(signal.SIGKILL)
            while await llama.busy_slots():
                await look_again()
            with pytest.raises(httpx.HTTPError):
                async for _ in lines:
                    pass


async def test_neither_a_web_server_nor_a_database_is_loaded() -> None:
    told = (  # logging.shutdown(): the last log line comes before the list
        "import atexit, json, logging, sys; from gateway.cli import main;"
        "say = lambda: (logging.shutdown(), print('loaded', json.dumps(sorted(sys.modules))));"
        "atexit.register(say); main()"
    )
    async with asyncio.timeout(120), running_mosquitto() as broker, gateway(broker) as hand:
        address = f"127.0.0.1:{broker.address.port}"
        nobody = "http://127.0.0.1:1"
        options = ("worker", "--name", "w", "--broker", address, "--llm-url", nobody, "--health-port", "0")
        async with running_program(sys.executable, "-c", told, *options) as program:
            await hand.status(state="draining")  # no model server is needed for that
            assert await program.end(signal.SIGTERM) == 0
    loaded = json.loads(program.said.partition("loaded ")[2])
    assert "transports.mqtt.worker.worker" in loaded
    assert [name for name in loaded if name.startswith(NOT_FOR_WORKERS)] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--broker", "127.0.0.1:1", "--llm-url", "ftp://x"], "ftp://x"),
        (["--broker", "127.0.0.1:1", "--name", "a/b"], "a/b"),
        (["--llm-url", "http://127.0.0.1:1"], "--broker"),
    ],
)
async def test_a_wrong_option_is_one_line(options: list[str], words: str) -> None:
    named = options if "--name" in options else ["--name", "w", *options]
    async with asyncio.timeout(120), forked_sluice("worker", *named) as program:
        assert await program.ended() == 2
    assert program.said.startswith("sluice: ")
    assert program.said.count("\n") == 1
    assert words in program.said
