"""A real llama.cpp server for tests, with the model that comes along or with one of random weights."""

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
from transports.llama.client import ModelServerClient, whole_body
from transports.llama.embedded_server import LlamaProcess, llama_available, llama_process

LONG_CONTEXT = 32_768  # takes half a minute to fill

_MAKER = Path(__file__).parents[2] / "deploy" / "models" / "make_tiny_gguf.py"
_MISSING = not llama_available() and os.environ.get("REQUIRE_LIVE") != "1"
_REASON = "needs llama.cpp's server: pip install 'sluice-gateway[demo]'"


def requires_llama() -> pytest.MarkDecorator:
    """Mark a live test: without llama.cpp's server it is skipped, or fails where REQUIRE_LIVE=1."""
    return pytest.mark.skipif(_MISSING, reason=_REASON)


def skip_without_llama() -> None:
    """requires_llama() for what is no test function."""
    if _MISSING:
        pytest.skip(_REASON)


@functools.cache
def random_model() -> Path:
    """A model of seeded random weights and a context of LONG_CONTEXT tokens, made once for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "random.gguf"
    subprocess.run(
        [sys.executable, _MAKER, path, "--ctx", str(LONG_CONTEXT)], check=True, capture_output=True
    )
    return path


class LlamaServer:
    """One server on one port of loopback, to be killed and started again."""

    def __init__(self, stack: AsyncExitStack, model: Path, *arguments: str) -> None:
        self._stack = stack
        self._model = model
        self._arguments = arguments
        self._port = 0
        self._process: LlamaProcess | None = None
        self.url = ""

    async def start(self, *arguments: str) -> None:
        """arguments: instead of the earlier ones."""
        self._arguments = arguments or self._arguments
        process = llama_process(self._model, self._port, *self._arguments)
        self._process = await self._stack.enter_async_context(process)
        self.url = self._process.url
        self._port = httpx.URL(self.url).port or 0

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.gone()

    def freeze(self) -> None:
        """Keep its connections and answer nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            return (await self.get("/health")).status_code == 200
        except httpx.TransportError:
            return False

    async def get(self, path: str) -> httpx.Response:
        exchange = await ModelServerClient(self.url).get(path.encode())
        return httpx.Response(exchange.status, content=await whole_body(exchange, 16_000_000))

    async def busy_slots(self) -> int:
        """How many replies are being made."""
        return sum(slot["is_processing"] for slot in (await self.get("/slots")).json())

    async def figure(self, name: str) -> float:
        """One of the server's own metrics, such as `requests_deferred`."""
        lines = (await self.get("/metrics")).text.splitlines()
        return float(next(line for line in lines if line.startswith(f"llamacpp:{name} ")).split()[1])


@asynccontextmanager
async def running_llama(model: Path, *arguments: str) -> AsyncIterator[LlamaServer]:
    """arguments: of `python -m transports.llama.server`."""
    async with AsyncExitStack() as stack:
        server = LlamaServer(stack, model, *arguments)
        await server.start()
        yield server


def exactly(text: str) -> ChatRequest:
    """A request that every model answers with exactly `text`: its grammar allows nothing else."""
    quoted = json.dumps(text, ensure_ascii=False)  # a string of GBNF is written as one of JSON is
    return asking("say it", max_tokens=1000, options={"grammar": f"root ::= {quoted}", "temperature": 0})


def endlessly() -> ChatRequest:
    """A request that is answered until the context is full."""
    return asking("go on", max_tokens=LONG_CONTEXT, options={"ignore_eos": True})


def asking(question: str, **sampling: Any) -> ChatRequest:
    return ChatRequest(uuid4().hex, [Turn("user", question)], Sampling(**sampling))
