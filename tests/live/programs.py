"""The real command `sluice` as a child process, to be asked over a socket and to be killed."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
"""The programs of the environment that runs the tests: `make canary` and `make oldest` have their own."""
_OWN_PREFIXES = (
    *("LLM_", "MQTT_", "DATABASE_", "HOST", "PORT", "GATEWAY_", "ALLOW_", "ALLOWED_", "LOG_", "CORS_"),
    *("ISSUER_", "OTEL_", "RATE_", "ROOT_", "STREAMS_", "TICKET_", "TRUSTED_", "SLUICE_", "CACHE_", "STAGES"),
)


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of Sluice's and no others.

    MAKELEVEL goes too: `sluice demo` speaks of `make demo` below make, and the tests may be started by it.
    So does PYTHONDONTWRITEBYTECODE: each start would compile everything again.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OWN_PREFIXES) and name not in ("MAKELEVEL", "PYTHONDONTWRITEBYTECODE")
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


class Program:
    """A child and what it has said on standard output and error."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said = ""

    async def until_said(self, pattern: str, *, by_line: bool = True) -> re.Match[str]:
        """Read on until `pattern` was said; by_line False: also if its line has not ended yet."""
        stdout = self.process.stdout
        assert stdout is not None
        while (found := re.search(pattern, self.said)) is None:
            line = await (stdout.readline() if by_line else stdout.read(4096))
            if not line:
                code = await self.process.wait()
                raise AssertionError(f"it ended ({code}) without saying {pattern!r}:\n{self.said}")
            self.said += line.decode()
        return found

    async def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Read to the end of what it says and return the exit code."""
        assert self.process.stdout is not None
        self.said += (await self.process.stdout.read()).decode()
        return await self.process.wait()


@asynccontextmanager
async def running_program(*command: str, cwd: Path | None = None, **settings: str) -> AsyncIterator[Program]:
    """A program in an environment with only these settings; killed with the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=clean_environment(**settings),
        cwd=cwd,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):  # with its own children, who would hold the pipe open
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def sluice(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway", *arguments]
