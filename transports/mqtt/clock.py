"""The event loop's clock as a Protocol, so that tests can set the time."""

from asyncio import TimerHandle
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle: ...
