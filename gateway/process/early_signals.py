"""Runs the event loop of a command, and ends it at signals that the command does not handle itself yet."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

from gateway.process.event_loop import event_loop_factory

R = TypeVar("R")


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run `work` to its end and return its result. SIGINT and SIGTERM cancel it; the process then exits with
    128 + the signal."""
    signals: list[int] = []

    async def run_cancellable() -> R:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop(number: int, _: FrameType | None) -> None:
            signals.append(number)
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        return await work

    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        try:
            return runner.run(run_cancellable())
        except asyncio.CancelledError:
            sys.exit(128 + signals[0])
