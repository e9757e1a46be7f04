"""The part of an event loop that deadlines need, so that a test can move time by hand."""

from asyncio import TimerHandle
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle: ...
