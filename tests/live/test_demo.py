"""The README's commands for the demo, as a stranger types them: everything they start is real."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.llama_server import requires_llama
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.programs import BIN, ROOT, Program, running_program
from tests.live.readme import events_of, the_command, typed

pytestmark = [pytest.mark.live, requires_llama()]

USUAL_PORTS = (8000, 8080, 1883)
READY = r"Sluice is ready at (http://127\.0\.0\.1:\d+) \(mode (\w+)\)"


async def ready(demo: Program) -> str:
    found = await demo.until_said(READY)
    return found[1]


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_make_demo_answers_and_keeps_what_was_said(tmp_path: Path, mode: str) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with (
        asyncio.timeout(120),
        running_program("make", "demo", cwd=ROOT, DATABASE_URL=database, LLM_COMM_MODE=mode) as demo,
    ):
        url = await ready(demo)
        metadata, *_, done = events_of(await typed(the_command("curl -N", "session_id"), url))
        kept = json.loads(await typed(the_command("curl http", "sessions/2"), url))
        os.killpg(demo.process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
        async with asyncio.timeout(120):
            await demo.ended()
    assert (metadata["mode"], done["type"], done["mode"], done["reason"]) == (mode, "done", mode, "stop")
    assert kept[0]["content"] == "Tell me about the river."
    assert kept[1]["content"] == done["full_content"] != ""
    assert kept[1]["status"] == "complete"
    assert "Traceback" not in demo.said


async def test_the_first_line_is_the_gateways_address_and_it_is_ready_by_then(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with (
        asyncio.timeout(120),
        running_program("make", "demo", cwd=ROOT, DATABASE_URL=database, LLM_COMM_MODE="mqtt") as demo,
    ):
        url = await ready(demo)
        assert json.loads(await typed("curl -sS http://127.0.0.1:8000/ready", url))["status"] == "ready"
        first = re.search(r"http://\S+", demo.said)
        os.killpg(demo.process.pid, signal.SIGTERM)
        await demo.ended()
    assert first is not None
    assert first[0] == url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_exit_code_0(tmp_path: Path, number: int) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    command = [str(BIN / "sluice"), "demo"]
    async with asyncio.timeout(120), running_program(*command, DATABASE_URL=database) as demo:
        await ready(demo)
        async with asyncio.timeout(120):
            assert await demo.end(number) == 0, demo.said


async def test_taken_ports_are_replaced_and_named(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'one.db'}"
    other = f"sqlite+aiosqlite:///{tmp_path / 'two.db'}"
    async with asyncio.timeout(120), forked_sluice("demo", DATABASE_URL=database) as one:
        url = await ready(one)
        async with forked_sluice("demo", DATABASE_URL=other) as two:
            assert await ready(two) != url
            ports = [port for demo in (one, two) for port in ports_of(await whole_text(demo))]
    assert len({*ports}) == len(ports) == 6
    # Another test's demo may have had one of the ports, and may have ended meanwhile.
    for usual, used in zip(USUAL_PORTS, ports_of(two.said), strict=True):
        assert (f"port {usual} is in use" in two.said) == (used != usual)


async def test_nothing_is_left_behind_even_by_kill_9(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with asyncio.timeout(120), forked_sluice("demo", DATABASE_URL=database) as demo:
        await ready(demo)
        ports = re.findall(r"(?:llama\.cpp|broker) .*127\.0\.0\.1:(\d+)", (await whole_text(demo)))
        await demo.end(signal.SIGKILL)
        for port in ports:
            await until_refused(int(port))
    assert len(ports) == 2


def ports_of(demo_said: str) -> tuple[int, ...]:
    """Return the ports of the gateway, the model server and the broker."""
    found = re.findall(r"(?:ready at|llama\.cpp|broker) .*?127\.0\.0\.1:(\d+)", demo_said)
    return tuple(map(int, found))


async def whole_text(demo: Program) -> str:
    await demo.until_said("Ctrl-C ends all of it")
    return demo.said


async def until_refused(port: int) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await look_again()


@requires_mosquitto()
async def test_the_smallest_worker_answers_and_its_reply_is_paced(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with (
        asyncio.timeout(120),
        forked_sluice("demo", DATABASE_URL=database, LLM_COMM_MODE="mqtt") as demo,
    ):
        url = await ready(demo)
        port = (await demo.until_said(r"mqtt://127\.0\.0\.1:(\d+)"))[1]
        async with running_program(the_command("deploy/"), cwd=ROOT, MQTT_BROKER_PORT=port):
            done: dict[str, Any] = {}
            while done.get("model") == "tiny" or not done:  # until its status has arrived
                *chunks, done = events_of(await typed(the_command("curl -N", "shell"), url))
    texts = [chunk["content"] for chunk in chunks if chunk["type"] == "chunk"]
    assert "".join(texts) == done["full_content"] == "You said: Hello, shell!"
    assert (len(texts) > 1, done["delivery"]) == (True, "chunked")


async def test_sluice_chat_streams_an_answer(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with asyncio.timeout(120), forked_sluice("demo", DATABASE_URL=database) as demo:
        url = await ready(demo)
        async with forked_sluice("chat", "--url", url, "Tell", "me", "about", "the", "boat.") as chat:
            said = await chat.ended()
        (latest, *_) = json.loads(await typed("curl http://127.0.0.1:8000/api/chatbot/sessions", url))
        path = f"/api/chatbot/sessions/{latest['id']}/messages"
        kept = json.loads(await typed(f"curl http://127.0.0.1:8000{path}", url))
    assert said == 0
    assert kept[1]["content"] in chat.said.replace("\n", " ")
