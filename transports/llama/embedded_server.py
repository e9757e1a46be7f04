"""Runs a llama.cpp server for the demo and tests, and finds the bundled model."""

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

READY_S = 60.0
END_S = 5.0
KEPT_ERROR_BYTES = 2048


def llama_available() -> bool:
    """True if the wheel with llama.cpp's server is installed, as by the extra `demo`."""
    return importlib.util.find_spec("xllamacpp") is not None


def tiny_model_path() -> Path:
    """Return the path of the bundled model of half a million parameters. Raises FileNotFoundError."""
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
    """Serve `model` on 127.0.0.1 and give the server's URL.

    Raises RuntimeError with the end of the server's output if it is not ready within READY_S. The server
    ends with the block, and with this process, even after kill -9.

    Args:
        model: path of a GGUF file.
        port: 0 takes any free port.
        parallel: slots, the number of concurrent replies.
        ctx_per_slot: tokens of context in each slot.
        alias: the model's name.
        api_key: required of clients; empty for none.
        tokens_per_s: highest speed of a reply; 0 for no limit.
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
    """Like llama_server(), with server.py's own arguments; gives the process, so that tests can kill it."""
    program = Path(__file__).with_name("server_program.py")
    with openmp_environment() as environment:
        transport, process = await asyncio.get_running_loop().subprocess_exec(
            LlamaProcess,
            sys.executable,
            "-P",  # keeps this folder out of sys.path: its modules would hide others
            str(program),
            str(model),
            str(port),
            "--with-parent",
            *arguments,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C in a terminal goes only to the parent, which then ends the child
        )
        try:
            await process.ready()
            yield process
        finally:
            await process.end()
            transport.close()


class LlamaProcess(asyncio.SubprocessProtocol):
    """The server's child process. url: set when ready() has returned."""

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
        """Kill the process with SIGKILL, like a crash."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._transport is not None:
                self._transport.send_signal(number)

    async def gone(self) -> None:
        """Wait until the process has ended and its pipes are closed."""
        await asyncio.shield(self._gone)

    async def end(self) -> None:
        """End the process with SIGTERM and wait; kill it after END_S, or if the wait is cancelled."""
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
                if not self._said_ready.done():  # the wait was cancelled
                    self._said_ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._said_ready.done():
            self._said_ready.set_result(None)
        self._gone.set_result(None)
