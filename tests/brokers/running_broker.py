"""A broker as a child process on a port of loopback, to be killed and started again."""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.live.brokers import free_port
from tests.live.programs import Program, running_program
from transports.mqtt.link.link import BrokerAddress

ASKED_FOR = os.environ.get("REQUIRE_BROKERS") == "1"


def requires_brokers() -> pytest.MarkDecorator:
    """Mark a test that runs by `make live` only: the gate has no time for these brokers."""
    return pytest.mark.skipif(not ASKED_FOR, reason="`make live` runs it, with REQUIRE_BROKERS=1")


def require_program(found: bool, package: str) -> None:
    if not found:
        pytest.fail(f"install the broker: apt-get install --no-install-recommends {package}")


class RunningBroker(ABC):
    """folder: of this broker alone; keeps its data from one start to the next."""

    ready = ""
    """The pattern that the program prints when it takes connections."""

    def __init__(self, folder: Path) -> None:
        self.address = BrokerAddress("127.0.0.1", free_port())
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._stack = AsyncExitStack()
        self._program: Program | None = None
        self._reading: asyncio.Task[int] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]: ...

    @abstractmethod
    def environment(self) -> Mapping[str, str]: ...

    async def start(self) -> None:
        """Return when it takes connections."""
        running = running_program(*self.command(), cwd=self.folder, **self.environment())
        self._program = await self._stack.enter_async_context(running)
        async with asyncio.timeout(120):
            await self._program.until_said(self.ready)
        self._reading = asyncio.create_task(self._program.ended())  # or it would wait for a reader of its log

    async def kill(self) -> None:
        """Kill it as a crash does."""
        if self._program is None or self._reading is None:
            return
        os.killpg(self._program.process.pid, signal.SIGKILL)
        await self._reading
        self._program = self._reading = None
        await self._stack.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        await self.start()
        try:
            yield self
        finally:
            await self.kill()
