"""Processes of a campaign, each killed, frozen and started again as often as wanted."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from tests.live.looking import look_again
from tests.live.nursery import Fork, fork
from tests.live.programs import clean_environment, sluice

START_S = 600.0

_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""A campaign that is killed must leave no processes behind."""


class Restartable:
    """A program that says `ready` in its log when it has started. The log keeps all of its lives.

    Args:
        settings: its environment, besides that of this process.
    """

    def __init__(self, log: Path, command: Sequence[str], ready: str, **settings: str) -> None:
        self.name = log.stem
        self._log = log
        self._command = command
        self._ready = ready
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        log.touch()

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def launch(self) -> int:
        """Start it, and return the length of its log before; see `began`."""
        length = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = await self._executed(log, log)
        return length

    async def _executed(self, stdout: IO[bytes] | int, stderr: IO[bytes] | int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *_WITH_PARENT,
            *self._command,
            env=clean_environment(**self._settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    async def began(self, length: int) -> None:
        """Wait until it says that it is ready. length: see `launch`."""
        async with asyncio.timeout(START_S):
            while self._ready.encode() not in self._log.read_bytes()[length:]:
                assert not self.has_ended, f"{self.name} ended:\n{self.said[-3000:]}"
                await look_again()

    async def start(self) -> None:
        await self.began(await self.launch())

    def signal(self, number: int) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def kill(self) -> None:
        """As by a crash, with its children."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        return await self._process.wait()

    async def end(self) -> None:
        """Kill it for good."""
        await self.kill()


class ForkedGateway(Restartable):
    """A gateway that starts without the import of its modules; see nursery."""

    def __init__(self, log: Path, **settings: str) -> None:
        super().__init__(log, sluice("serve"), "listening on", **settings)

    async def _executed(self, stdout: IO[bytes] | int, stderr: IO[bytes] | int) -> asyncio.subprocess.Process:
        if sys.platform != "linux" or isinstance(stdout, int):
            return await super()._executed(stdout, stderr)
        await self.kill()  # which closes the pipes to the one before, if that was stopped
        forked = await fork("serve", output=stdout.fileno(), cwd=None, **self._settings)
        return cast(asyncio.subprocess.Process, forked)

    async def kill(self) -> None:
        await super().kill()
        if isinstance(self._process, Fork):
            await self._process.communicate()  # which closes the pipes to it


class NestedGateway(Restartable):
    """A gateway in a network namespace, which its nest starts; see nest_program.

    Args:
        log, settings: of the gateway.
        within: returns the command that runs another one in the gateway's network namespace.
    """

    def __init__(self, log: Path, within: Callable[[list[str]], list[str]], **settings: str) -> None:
        nest = [sys.executable, "-m", "tests.chaos.nest_program", str(log)]
        super().__init__(log, within(nest), "listening on", **settings)
        self._pid = 0
        self._ending: asyncio.Task[int] | None = None

    @property
    def has_ended(self) -> bool:
        return self._ending is None or self._ending.done()

    async def launch(self) -> int:
        length = self._log.stat().st_size
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = await self._executed(asyncio.subprocess.PIPE, log)
        assert self._process.stdin is not None
        self._process.stdin.write(b"start\n")
        self._pid = await self._told()
        self._ending = asyncio.create_task(self._told())
        return length

    def signal(self, number: int) -> None:
        if not self.has_ended:
            os.kill(self._pid, number)

    async def kill(self) -> None:
        if self._ending is not None:
            self.signal(signal.SIGKILL)
            await self._ending

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        assert self._ending is not None
        return await self._ending

    async def end(self) -> None:
        await self.kill()
        await super().kill()

    async def _told(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        return int(await self._process.stdout.readline())
