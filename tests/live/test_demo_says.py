"""The output of `sluice demo`: its commands work as printed, and it names what is missing."""

import asyncio
import json
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import AbstractAsyncContextManager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from gateway.commands import demo
from gateway.commands.demo_sessions import DemoSessions
from gateway.settings import Settings, SettingsError
from tests.live.brokers import free_port
from tests.live.llama_server import requires_llama
from tests.live.nursery import forked_sluice
from tests.live.ollama_like import MODEL, TEXT, ollama_like
from tests.live.programs import Program
from tests.live.readme import events_of
from tests.live.test_demo import whole_text
from transports.mqtt.embedded_broker import EmbeddedBroker
from transports.mqtt.link.link import BrokerAddress

pytestmark = pytest.mark.live


def demo_on(tmp_path: Path, **settings: str) -> AbstractAsyncContextManager[Program]:
    """Run `sluice demo` with its database in this folder."""
    return forked_sluice("demo", cwd=tmp_path, **settings)


async def pasted(command: str) -> str:
    shell = await asyncio.create_subprocess_exec("sh", "-c", command, stdout=PIPE, stderr=DEVNULL)
    said, _ = await shell.communicate()
    return said.decode()


async def curls_of(program: Program) -> list[str]:
    """Return the curl commands that the demo prints."""
    return re.findall(r"^ *(curl .*)$", await whole_text(program), re.MULTILINE)


@requires_llama()
@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_its_two_commands_ask_and_read_the_same_session_whatever_was_asked_before(
    tmp_path: Path, mode: str
) -> None:
    async with asyncio.timeout(120):
        async with demo_on(tmp_path, LLM_COMM_MODE=mode) as first:
            ask, _ = await curls_of(first)
            for question in ("Tell me about the lamp.", "Tell me about the boat."):
                await pasted(re.sub(r"-d .*", f"""-d '{{"content": "{question}"}}'""", ask))
            await first.end(signal.SIGTERM)
        async with demo_on(tmp_path, LLM_COMM_MODE=mode) as second:
            ask, read = await curls_of(second)
            done = events_of(await pasted(ask))[-1]
            kept = json.loads(await pasted(read))
    assert [message["content"] for message in kept] == ["Tell me about the river.", done["full_content"]]
    assert done["mode"] == mode


@requires_llama()
async def test_sessions_that_nobody_used_are_used_again(tmp_path: Path) -> None:
    shown = []
    async with asyncio.timeout(120):
        for _ in range(2):
            async with demo_on(tmp_path) as program:
                shown.append((await curls_of(program))[1].partition("/api")[2])
                await program.end(signal.SIGTERM)
    assert shown[0] == shown[1]


@requires_llama()
@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_its_toy_streams_at_a_pace_one_can_watch_and_is_called_a_toy(tmp_path: Path, mode: str) -> None:
    async with asyncio.timeout(120), demo_on(tmp_path, LLM_COMM_MODE=mode) as program:
        said = await whole_text(program)
        events = events_of(await pasted((await curls_of(program))[0]))
    assert "toy model" in said
    assert "40 tokens/s" in said
    assert "LLM_SERVER_URL=http://127.0.0.1:11434 sluice demo" in said
    # A worker collects tokens for 50 ms: a model of thousands of tokens/s would give only two chunks.
    assert [event["type"] for event in events].count("chunk") > 3
    if mode == "sse":
        assert events[-1]["tokens_per_s"] == 40


@requires_llama()
async def test_where_the_database_has_keys_it_says_so(tmp_path: Path) -> None:
    async with asyncio.timeout(120):
        async with forked_sluice("keys", "create", "--user", "anna", cwd=tmp_path) as command:
            assert await command.ended() == 0
        (key,) = re.findall(r"sk-\S+", command.said)
        async with demo_on(tmp_path) as program:
            ask, read = (curl.replace("YOUR_API_KEY", key) for curl in await curls_of(program))
            done = events_of(await pasted(ask))[-1]
            sessions = json.loads(await pasted(read))
    assert done["type"] == "done"
    assert [session["title"] for session in sessions] == ["Tell me about the river."]


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_a_model_server_of_ones_own_needs_openais_api_and_no_more(tmp_path: Path, mode: str) -> None:
    async with (
        asyncio.timeout(120),
        ollama_like() as url,
        demo_on(tmp_path, LLM_COMM_MODE=mode, LLM_SERVER_URL=url) as program,
    ):
        said = await whole_text(program)
        done = events_of(await pasted((await curls_of(program))[0]))[-1]
    assert (done["full_content"].strip(), done["model"], done["mode"]) == (TEXT, MODEL, mode)
    assert f"{url} (LLM_SERVER_URL)" in said
    assert "toy" not in said


async def test_a_model_server_that_is_not_there_is_one_line_at_once(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with (
        asyncio.timeout(120),
        forked_sluice("demo", cwd=tmp_path, LLM_SERVER_URL=url) as program,
    ):
        assert await program.ended() == 2
    assert program.said.startswith(f"sluice: LLM_SERVER_URL={url}: ")
    assert program.said.count("\n") == 1


async def test_it_says_nothing_before_the_sessions_are_there_that_it_names() -> None:
    said, asked, may_go_on = StringIO(), asyncio.Event(), asyncio.Event()
    broker = EmbeddedBroker("mosquitto", BrokerAddress("127.0.0.1", 1883))

    async def prepare() -> DemoSessions:
        asked.set()
        await may_go_on.wait()
        return DemoSessions(7, "b7b0d3c4", "local-1f3a9c")

    ready = demo._say_ready(
        Console(file=said), "http://x", "sse", Settings(_env_file=None), broker, prepare, True, []
    )
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(ready)
        await asked.wait()
        before = said.getvalue()
        may_go_on.set()
    assert before == ""
    assert "/api/chatbot/sessions/7/messages" in said.getvalue()
    assert "http://x/#/chat/b7b0d3c4" in said.getvalue()
    assert "the room local-1f3a9c" in said.getvalue()


@requires_llama()
async def test_its_room_has_the_simulated_device_and_is_found_again(tmp_path: Path) -> None:
    rooms = []
    async with asyncio.timeout(120):
        for _ in range(2):
            async with demo_on(tmp_path) as program:
                url, uuid = re.findall(r"(http://\S+)/#/chat/(\S+)", await whole_text(program))[0]
                rooms.append(json.loads(await pasted(f"curl {url}/api/chatbot/rooms/{uuid}")))
                await program.end(signal.SIGTERM)
    assert rooms[0]["uuid"] == rooms[1]["uuid"]
    assert [(member["kind"], member["role"]) for member in rooms[1]["members"]] == [
        ("user", "owner"),
        ("device", "member"),
    ]


@pytest.mark.parametrize("missing", ["llama_available", "broker_available"])
async def test_a_missing_part_names_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(demo, missing, lambda: False)
    with pytest.raises(SettingsError, match=r"pip install 'sluice-gateway\[demo\]'"):
        await demo.run_demo(Settings(_env_file=None))


@requires_llama()
async def test_two_that_start_at_the_same_moment_share_nothing(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    async with asyncio.timeout(120), demo_on(folders[0]) as one, demo_on(folders[1]) as two:
        texts = [await whole_text(one), await whole_text(two)]
        parts = [re.findall(r"(?:llama\.cpp|broker) .*127\.0\.0\.1:(\d+)", text) for text in texts]
    assert [len(ports) for ports in parts] == [2, 2]
    assert not set(parts[0]) & set(parts[1])
