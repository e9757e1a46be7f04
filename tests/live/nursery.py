"""The command `sluice` as forks of one process that has all modules loaded.

Most of a start are imports: a second of CPU, and the live tests start hundreds of gateways and workers.
A fork has the code, session, descriptors, folder, environment and signals of `python -m gateway`. Tests of
the start itself use `running_program`.
"""

import asyncio
import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from tests.live.programs import ROOT, Program, clean_environment, running_program, sluice


class Fork:
    """The process of a fork, with the part of asyncio.subprocess.Process that tests use.

    Attributes:
        stdout: what it says, if that comes by a pipe.
    """

    def __init__(self, stdin: asyncio.StreamWriter, status: "Pipe", pid: int) -> None:
        self.stdin = stdin
        self.stdout: asyncio.StreamReader | None = None
        self.pid = pid
        self.returncode: int | None = None
        self._pipes = [status]
        self._ended = asyncio.create_task(self._code(status.reader))

    def reads(self, stdout: "Pipe") -> None:
        self.stdout = stdout.reader
        self._pipes.append(stdout)

    async def _code(self, status: asyncio.StreamReader) -> int:
        self.returncode = int(await status.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def communicate(self) -> None:
        """Drop the rest of the output, and wait for the end of the process."""
        while self.stdout is not None and await self.stdout.read(65536):
            pass
        await self.wait()
        self.stdin.close()
        for pipe in self._pipes:
            pipe.transport.close()


class Pipe:
    """The reading end of a pipe."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        self.reader = asyncio.StreamReader()

    async def open(self) -> None:
        protocol = asyncio.StreamReaderProtocol(self.reader)
        loop = asyncio.get_running_loop()
        end = os.fdopen(self._read, "rb", 0)
        self.transport, _ = await loop.connect_read_pipe(lambda: protocol, end)


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(descriptor, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


@functools.cache
def _nursery() -> socket.socket:
    """Return a socket for commands to the process that forks. All workers of pytest-xdist share one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    address = f"\0sluice-nursery-{run}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        try:
            listening.bind(address)
        except OSError:  # another worker's
            pass
        else:
            listening.listen()
            _start(listening)
    while True:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            control.connect(address)
        except ConnectionRefusedError:  # the other worker does not listen yet
            control.close()
        else:
            atexit.register(control.close)
            return control


def _start(listening: socket.socket) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.live.nursery_program", str(listening.fileno())],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        pass_fds=[listening.fileno()],
        start_new_session=True,
    )
    atexit.register(process.wait)


async def fork(*arguments: str, output: int, cwd: Path | None = None, **settings: str) -> Fork:
    """Start `sluice` with these arguments, on Linux alone.

    output: the descriptor to which it says everything.
    """
    command = {
        "arguments": arguments,
        "cwd": str(cwd or Path.cwd()),
        "environment": clean_environment(**settings),
    }
    stdin_read, stdin_write = os.pipe()
    status = Pipe()
    socket.send_fds(_nursery(), [json.dumps(command).encode()], [stdin_read, output, status.write])
    for descriptor in (stdin_read, status.write):
        os.close(descriptor)
    await status.open()
    return Fork(await _writer(stdin_write), status, int(await status.reader.readline()))


@asynccontextmanager
async def forked_sluice(*arguments: str, cwd: Path | None = None, **settings: str) -> AsyncIterator[Program]:
    """`sluice` with these arguments, in an environment with only these settings; killed with the block."""
    if sys.platform != "linux":  # elsewhere libraries may not be forked
        async with running_program(*sluice(*arguments), cwd=cwd, **settings) as program:
            yield program
        return
    stdout = Pipe()
    process = await fork(*arguments, output=stdout.write, cwd=cwd, **settings)
    os.close(stdout.write)
    await stdout.open()
    process.reads(stdout)
    try:
        yield Program(cast(Process, process))
    finally:
        with suppress(ProcessLookupError):  # with its own children, who would hold the pipe open
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
