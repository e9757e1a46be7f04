"""Tells a failure from the end of a task that is being cancelled."""

import asyncio


def is_cancelled() -> bool:
    """True if the current task is being cancelled, even while it handles another error or cleans up."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
