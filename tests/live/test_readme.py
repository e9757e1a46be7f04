"""The README's way to one's own model, as a reader goes it; tests/live/test_demo.py goes the demo's."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest
from tests.live.llama_server import requires_llama, running_llama
from tests.live.programs import BIN, running_program
from tests.live.readme import blocks, events_of, shell_commands, the_command, typed
from tests.live.test_frontends import requires_node
from tests.web.frontends import AWKWARD, PIECES
from tests.web.gateway_server import served
from transports.llama.embedded_server import tiny_model_path
from transports.scripted import Step, tokens

pytestmark = pytest.mark.live

PAGE = """
const shown = { append: (text) => process.stdout.write(text) };
globalThis.document = { querySelector: (selector) => (selector === "#reply" ? shown : null) };
"""


@requires_llama()
async def test_serve_in_front_of_ones_own_model_answers_and_keeps_what_was_said(tmp_path: Path) -> None:
    serve = the_command("LLM_SERVER_URL=")
    path = f"{BIN}:{os.environ['PATH']}"
    async with asyncio.timeout(120), running_llama(tiny_model_path()) as llama:
        command = f"exec env {serve.replace('http://127.0.0.1:8080', llama.url)}"
        async with running_program("sh", "-c", command, cwd=tmp_path, PORT="0", PATH=path) as gateway:
            url = (await gateway.until_said(r"listening on (http://\S+)"))[1]
            ask = the_command("curl -N")
            done = events_of(await typed(ask, url))[-1]
            kept = json.loads(await typed(the_command("curl http"), url))
    assert [message["content"] for message in kept] == ["Why is the sky blue?", done["full_content"]]


@asynccontextmanager
async def the_javascript(url: str, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The README's program in Node, with an element `#reply` that prints what is appended to it."""
    program, _ = blocks("js")
    script = tmp_path / "readme.mjs"
    script.write_text(PAGE + program.replace("http://127.0.0.1:8000", url), encoding="utf-8")
    node = await asyncio.create_subprocess_exec("node", str(script), stdout=PIPE, stderr=PIPE)
    try:
        yield node
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()


@requires_node
async def test_the_javascript_shows_exactly_what_was_said(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: tokens(*PIECES)) as gateway,
        the_javascript(gateway.url, tmp_path) as node,
    ):
        shown, complaint = await node.communicate()
    assert node.returncode == 0, complaint.decode()
    assert shown.decode() == AWKWARD


@requires_node
async def test_the_javascript_shows_text_as_it_comes(tmp_path: Path) -> None:
    held = asyncio.Event()

    def script(_: ChatRequest) -> list[Step]:
        return [[Delta("first ")], held.wait, *tokens("second")]

    async with served(tmp_path, script) as gateway, the_javascript(gateway.url, tmp_path) as node:
        assert node.stdout is not None
        first = await node.stdout.readexactly(6)
        held.set()
        rest = await node.stdout.read()
    assert first + rest == b"first second"


@requires_node
async def test_the_javascript_tells_a_failure(tmp_path: Path) -> None:
    async def fail() -> None:
        raise UpstreamFailed("The model broke.")

    async with (
        served(tmp_path, lambda _: [[Delta("a ")], fail]) as gateway,
        the_javascript(gateway.url, tmp_path) as node,
    ):
        shown, complaint = await node.communicate()
    assert (shown, node.returncode) == (b"a ", 1)
    assert "The model broke." in complaint.decode()


def test_every_command_of_the_readme_is_known() -> None:
    """A new command in the README needs a test, here or in test_demo.py, or in .ci/run."""
    known = [
        *("pip install .", "make demo", "LLM_COMM_MODE=mqtt make demo", "make test"),
        *("LLM_SERVER_URL=http://127.0.0.1:8080 sluice serve", "deploy/examples/smallest_worker.sh"),
    ]
    rest = [command for command in shell_commands() if command not in known]
    assert [command.split(" http")[0] for command in rest] == ["curl -N", "curl"] * 2 + ["curl -N"]
    assert len(blocks("js")) == 2  # the second one is that of a socket.io client: test_room_clients.py
