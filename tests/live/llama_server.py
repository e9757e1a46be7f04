"""A real llama.cpp server for tests, with the bundled model or with one of random weights."""

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.contract.requests import ChatRequest, Sampling, Turn
from tests.live.brokers import free_port
from transports.llama.client import ModelServerClient, whole_body
from transports.llama.embedded_server import LlamaProcess, llama_available, llama_process

LONG_CONTEXT = 32_768  # takes half a minute to fill

_MAKER = Path(__file__).parents[2] / "deploy" / "models" / "make_tiny_gguf.py"
_MISSING = not llama_available() and os.environ.get("REQUIRE_LIVE") != "1"
_REASON = "needs llama.cpp's server: pip install 'sluice-gateway[demo]'"


def requires_llama() -> pytest.MarkDecorator:
    """Mark a live test: skipped if llama.cpp's server is not installed, failed if REQUIRE_LIVE=1."""
    return pytest.mark.skipif(_MISSING, reason=_REASON)


def skip_without_llama() -> None:
    """The same as requires_llama(), for fixtures."""
    if _MISSING:
        pytest.skip(_REASON)


@functools.cache
def random_model() -> Path:
    """The path of a model with seeded random weights and LONG_CONTEXT tokens of context, made once."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "random.gguf"
    subprocess.run(
        [sys.executable, _MAKER, path, "--ctx", str(LONG_CONTEXT)], check=True, capture_output=True
    )
    return path


class LlamaServer:
    """One server on a loopback port, which tests kill and start again."""

    def __init__(self, stack: AsyncExitStack, model: Path, *arguments: str) -> None:
        self._stack = stack
        self._model = model
        self._arguments = arguments
        self._port = free_port()
        self._process: LlamaProcess | None = None
        self.url = ""

    async def start(self, *arguments: str) -> None:
        """Start the server. `arguments` replace the earlier ones."""
        self._arguments = arguments or self._arguments
        process = llama_process(self._model, self._port, *self._arguments)
        self._process = await self._stack.enter_async_context(process)
        self.url = self._process.url

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.gone()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: its connections stay open, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the process go on where it froze."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def is_alive(self) -> bool:
        """True if the server answers."""
        try:
            return (await self.get("/health")).status_code == 200
        except httpx.TransportError:
            return False

    async def get(self, path: str) -> httpx.Response:
        client = ModelServerClient(self.url)
        try:
            exchange = await client.get(path.encode())
            try:
                return httpx.Response(exchange.status, content=await whole_body(exchange, 16_000_000))
            finally:
                exchange.close()
        finally:
            client.close()

    async def busy_slots(self) -> int:
        """Return the number of replies in progress."""
        return sum(slot["is_processing"] for slot in (await self.get("/slots")).json())

    async def streams(self, *ids: str) -> list[str]:
        """Return those of the conversation ids whose streams it keeps."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            told = (await client.post("/v1/streams/lookup", json={"conversation_ids": ids})).json()
        return [stream["conversation_id"] for stream in told]

    async def figure(self, name: str) -> float:
        """Return one of the server's own metrics, such as `requests_deferred`."""
        lines = (await self.get("/metrics")).text.splitlines()
        return float(next(line for line in lines if line.startswith(f"llamacpp:{name} ")).split()[1])


@asynccontextmanager
async def running_llama(model: Path, *arguments: str) -> AsyncIterator[LlamaServer]:
    """Run a server with these arguments of `python -m transports.llama.server_program`."""
    async with AsyncExitStack() as stack:
        server = LlamaServer(stack, model, *arguments)
        await server.start()
        yield server


def exactly(text: str) -> ChatRequest:
    """Return a request that every model answers with exactly `text`: its grammar allows nothing else."""
    quoted = json.dumps(text, ensure_ascii=False)  # GBNF writes strings as JSON does
    return asking("say it", max_tokens=1000, options={"grammar": f"root ::= {quoted}", "temperature": 0})


def endlessly() -> ChatRequest:
    """Return a request whose reply ends only when the context is full."""
    return asking("go on", max_tokens=LONG_CONTEXT, options={"ignore_eos": True})


def asking(question: str, **sampling: Any) -> ChatRequest:
    return ChatRequest(uuid4().hex, [Turn("user", question)], Sampling(**sampling))
