"""Runs work on large bodies in a thread, so that it does not delay streams."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

LARGE_BYTES = 256 * 1024

_thread = ThreadPoolExecutor(1, "large-bodies")
"""One thread, so that at most one large body is copied at a time."""

Result = TypeVar("Result")


async def unhurried(size: int, work: Callable[[], Result]) -> Result:
    """Call `work`, in a thread if size exceeds LARGE_BYTES. size: bytes that it processes."""
    if size <= LARGE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_thread, work)
