"""Repeats a read of the database while the gateway runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.contract.errors import StorageFailed

log = logging.getLogger("sluice")

REFRESH_S = 2.0


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
