"""Processes of a campaign, each killed, frozen and started again as often as wanted."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.live.looking import look_again
from tests.live.programs import clean_environment

START_S = 60.0


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

    async def launch(self) -> int:
        """Start it, and return the length of its log before; see `began`."""
        length = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=clean_environment(**self._settings),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return length

    async def began(self, length: int) -> None:
        """Wait until it says that it is ready. length: see `launch`."""
        async with asyncio.timeout(START_S):
            while self._ready.encode() not in self._log.read_bytes()[length:]:
                assert self._process is not None
                assert self._process.returncode is None, f"{self.name} ended:\n{self.said[-3000:]}"
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
