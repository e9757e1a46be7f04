"""Repeats a read of the database while the gateway runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from gateway.contract.errors import StorageFailed

log = logging.getLogger("sluice")

REFRESH_S = 2.0


class Nudge:
    """A sleep that a call of `wake` ends early."""

    def __init__(self) -> None:
        self._called = asyncio.Event()

    def wake(self) -> None:
        self._called.set()

    async def sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._called.wait()
        self._called.clear()


async def keep_fresh(
    refresh: Callable[[], Coroutine[Any, Any, None]],
    failure: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `refresh` every REFRESH_S seconds until cancelled. StorageFailed is logged once, after `failure`.

    A call that has begun ends before the cancellation: a cancelled read loses its connection.
    """
    failing = False
    while True:
        await sleep(REFRESH_S)
        call = asyncio.create_task(refresh())
        try:
            await asyncio.shield(call)
            failing = False
        except asyncio.CancelledError:
            await asyncio.gather(call, return_exceptions=True)
            raise
        except StorageFailed as error:
            if not failing:
                log.warning("%s: %s", failure, error)
            failing = True
