"""A llama.cpp server for as long as a block lasts: for the demo and tests, with a model that comes along."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from transports.llama.openmp import openmp_environment

READY_S = 20.0
END_S = 5.0
KEPT_ERROR_BYTES = 2048


def llama_available() -> bool:
    """Whether the wheel with llama.cpp's server is installed, as the extra `demo` does."""
    return importlib.util.find_spec("xllamacpp") is not None


def tiny_model_path() -> Path:
    """The model of half a million parameters that comes with the package; FileNotFoundError without it."""
    here = Path(__file__).resolve()
    installed = here.with_name("models") / "tiny.gguf"
    in_checkout = here.parents[2] / "deploy" / "models" / "tiny.gguf"
    for path in (installed, in_checkout):
        if path.is_file():
            return path
    raise FileNotFoundError(f"no model at {installed} or {in_checkout}")


@contextlib.asynccontextmanager
async def llama_server(
    model: Path,
    *,
    port: int = 0,
    parallel: int = 4,
    ctx_per_slot: int = 2048,
    alias: str = "tiny",
    api_key: str = "",
    tokens_per_s: float = 0,
) -> AsyncIterator[str]:
    """Serve `model` on 127.0.0.1 and give the server's URL; port 0 means any free one.

    tokens_per_s: how fast a reply streams at most; 0 means as fast as the model is.

    Raises RuntimeError with the server's own last words when it is not ready within READY_S. The server
    ends with the block, and with this process however that ends.
    """
    arguments = ["--parallel", str(parallel), "--ctx-per-slot", str(ctx_per_slot), "--alias", alias]
    if api_key:
        arguments += ["--api-key", api_key]
    if tokens_per_s:
        arguments += ["--tokens-per-s", str(tokens_per_s)]
    async with llama_process(model, port, *arguments) as process:
        yield process.url


@contextlib.asynccontextmanager
async def llama_process(model: Path, port: int, *arguments: str) -> AsyncIterator["LlamaProcess"]:
    """llama_server() with server.py's own arguments, and with a process that can be killed."""
    program = Path(__file__).with_name("server.py")
    with openmp_environment() as environment:
        transport, process = await asyncio.get_running_loop().subprocess_exec(
            LlamaProcess,
            sys.executable,
            "-P",  # the program's folder holds modules of ours, which are nobody's to import from there
            str(program),
            str(model),
            str(port),
            "--with-parent",
            *arguments,
            env={**os.environ, **environment},
            start_new_session=True,  # a terminal's Ctrl-C is for the parent, which ends the child in order
        )
        try:
            await process.ready()
            yield process
        finally:
            await process.end()
            transport.close()


class LlamaProcess(asyncio.SubprocessProtocol):
    """The child as its parent sees it. url: where it listens, once ready() has returned."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.url = ""
        self._transport: asyncio.SubprocessTransport | None = None
        self._output = b""
        self._errors = b""
        self._said_ready = loop.create_future()
        self._gone = loop.create_future()

    async def ready(self) -> None:
        try:
            async with asyncio.timeout(READY_S):
                await self._said_ready
        except TimeoutError as exc:
            raise RuntimeError(f"llama.cpp's server was not ready within {READY_S:g} s") from exc
        if not self.url:
            last_words = self._errors.decode(errors="replace").strip()
            raise RuntimeError(f"llama.cpp's server did not start: {last_words}")

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._transport is not None:
                self._transport.send_signal(number)

    async def gone(self) -> None:
        """Wait until the process has ended and its pipes are closed."""
        await asyncio.shield(self._gone)

    async def end(self) -> None:
        """Ask it to end and wait; after END_S, or when even that is cancelled, it is killed."""
        try:
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                if self._transport is not None:
                    self._transport.terminate()
                async with asyncio.timeout(END_S):
                    await self.gone()
        finally:
            self.kill()
        await self.gone()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._errors = (self._errors + data)[-KEPT_ERROR_BYTES:]
        elif not self.url:
            self._output += data
            line, newline, _ = self._output.partition(b"\n")
            if newline and line.startswith(b"READY "):
                self.url = line.removeprefix(b"READY ").decode("ascii")
                self._said_ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._said_ready.done():
            self._said_ready.set_result(None)
        self._gone.set_result(None)
