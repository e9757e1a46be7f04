"""The README's commands, as a stranger types them: everything they start is real."""

import asyncio
import json
import os
import re
import shlex
import signal
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.llama_server import requires_llama
from tests.live.programs import ROOT, Program, running_program

pytestmark = [pytest.mark.live, requires_llama()]

READY = r"Sluice is ready at (http://127\.0\.0\.1:\d+) \(mode (\w+)\)"


def shell_commands() -> list[str]:
    """Every line of the README's `sh` blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def the_command(start: str, holding: str = "") -> str:
    return next(command for command in shell_commands() if command.startswith(start) and holding in command)


async def typed(command: str, url: str) -> str:
    """What a command of the README prints, asked of the gateway at `url`."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command.replace("http://127.0.0.1:8000", url)), stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def events_of(stream: str) -> list[dict[str, Any]]:
    return [json.loads(frame[6:]) for frame in stream.split("\n\n") if frame.startswith("data: ")]


async def ready(demo: Program) -> str:
    found = await demo.until_said(READY)
    return found[1]


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_make_demo_answers_and_keeps_what_was_said(tmp_path: Path, mode: str) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with (
        asyncio.timeout(60),
        running_program("make", "demo", cwd=ROOT, DATABASE_URL=database, LLM_COMM_MODE=mode) as demo,
    ):
        url = await ready(demo)
        metadata, *_, done = events_of(await typed(the_command("curl -N"), url))
        kept = json.loads(await typed(the_command("curl http"), url))
        os.killpg(demo.process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
        async with asyncio.timeout(5):
            await demo.ended()
    assert (metadata["mode"], done["type"], done["mode"], done["reason"]) == (mode, "done", mode, "stop")
    assert kept[0]["content"] == "Tell me about the river."
    assert kept[1]["content"] == done["full_content"] != ""
    assert kept[1]["status"] == "complete"
    assert "Traceback" not in demo.said


async def test_the_first_line_is_the_gateways_address_and_it_is_ready_by_then(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    async with (
        asyncio.timeout(60),
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
    command = [str(ROOT / ".venv/bin/sluice"), "demo"]
    async with asyncio.timeout(60), running_program(*command, DATABASE_URL=database) as demo:
        await ready(demo)
        async with asyncio.timeout(5):
            assert await demo.end(number) == 0, demo.said


async def test_taken_ports_are_replaced_and_named(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'one.db'}"
    other = f"sqlite+aiosqlite:///{tmp_path / 'two.db'}"
    command = [str(ROOT / ".venv/bin/sluice"), "demo"]
    async with asyncio.timeout(60), running_program(*command, DATABASE_URL=database) as one:
        url = await ready(one)
        async with running_program(*command, DATABASE_URL=other) as two:
            assert await ready(two) != url
            await two.until_said("Ctrl-C ends all of it")
    assert two.said.count("is taken") == 3


async def test_nothing_is_left_behind_even_by_kill_9(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    command = [str(ROOT / ".venv/bin/sluice"), "demo"]
    async with asyncio.timeout(60), running_program(*command, DATABASE_URL=database) as demo:
        await ready(demo)
        ports = re.findall(r"(?:llama\.cpp|broker) .*127\.0\.0\.1:(\d+)", (await whole_text(demo)))
        await demo.end(signal.SIGKILL)
        for port in ports:
            await until_refused(int(port))
    assert len(ports) == 2


async def whole_text(demo: Program) -> str:
    await demo.until_said("Ctrl-C ends all of it")
    return demo.said


async def until_refused(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()


@requires_mosquitto()
async def test_the_smallest_worker_answers_and_its_reply_is_paced(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'demo.db'}"
    command = [str(ROOT / ".venv/bin/sluice"), "demo"]
    async with (
        asyncio.timeout(60),
        running_program(*command, DATABASE_URL=database, LLM_COMM_MODE="mqtt") as demo,
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
    program = str(ROOT / ".venv/bin/sluice")
    async with asyncio.timeout(60), running_program(program, "demo", DATABASE_URL=database) as demo:
        url = await ready(demo)
        async with running_program(
            program, "chat", "--url", url, "Tell", "me", "about", "the", "boat."
        ) as chat:
            said = await chat.ended()
        kept = json.loads(await typed(the_command("curl http"), url))
    assert said == 0
    assert kept[1]["content"] in chat.said.replace("\n", " ")


def test_every_command_of_the_readme_is_known() -> None:
    """A new command in the README needs a test here, or in .ci/run."""
    known = {"make demo", "LLM_COMM_MODE=mqtt make demo", "make test", "deploy/examples/smallest_worker.sh"}
    rest = [command for command in shell_commands() if command not in known]
    assert [command.split(" http")[0] for command in rest] == ["curl -N", "curl", "curl -N"]
