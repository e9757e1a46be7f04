"""Checks one model server from time to time, and at once when a reply could not reach it."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from gateway.contract.transport import Health
from transports.llama.health_log import HealthLog

FRESH_S = 60.0
RETRY_S = 1.0


class HealthWatch:
    """Checks a server until it is cancelled.

    Args:
        check: asks the server for its health, and learns what it can do.
        log: notes each result.
        sleep: pauses for so many seconds.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[Health]],
        log: HealthLog,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.checked = asyncio.Event()
        self._check = check
        self._log = log
        self._sleep = sleep
        self._pause: asyncio.Task[None] | None = None
        self._was_ok = False

    def doubt(self) -> None:
        """Note that a request did not reach the server: it is checked now if it was healthy."""
        if self._was_ok and self._pause is not None:
            self._pause.cancel()

    async def run(self) -> None:
        retry_s = RETRY_S
        while True:
            health = await self._check()
            self._was_ok = health.ok
            self.checked.set()
            self._log.note(health)
            if health.ok:
                pause_s, retry_s = FRESH_S, RETRY_S
            else:
                pause_s, retry_s = retry_s, min(2 * retry_s, FRESH_S)
            async with asyncio.TaskGroup() as tasks:  # which ignores a cancelled pause
                self._pause = tasks.create_task(self._sleep_for(pause_s * random.uniform(0.8, 1.2)))

    async def _sleep_for(self, pause_s: float) -> None:
        await self._sleep(pause_s)
