"""Work on large bodies is done in a thread, so that nobody's stream waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

LARGE_BYTES = 256 * 1024

_thread = ThreadPoolExecutor(1, "large-bodies")
"""One: bodies wait for each other, and at most one of them is copied at a time."""

Result = TypeVar("Result")


async def unhurried(size: int, work: Callable[[], Result]) -> Result:
    """Return or raise as `work` does. size: of the body that it works on, in bytes."""
    if size <= LARGE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_thread, work)
