"""The time that all gateways on one database share, so that their machines' clocks may differ."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class DatabaseClock:
    """This machine's time, corrected by that of the database. On SQLite the two are the same.

    local: this machine's time.
    """

    def __init__(self, local: Callable[[], float] = time.time) -> None:
        self.local = local
        self._ahead_s = 0.0

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self.local() + self._ahead_s

    def utc(self) -> datetime:
        return datetime.fromtimestamp(self(), UTC)

    def learn(self, told: float, asked_at: float, answered_at: float) -> None:
        """Correct the clock by the least that makes it agree with the database.

        Args:
            told: the database's time.
            asked_at: this machine's time before the database was asked.
            answered_at: this machine's time after its answer.
        """
        self._ahead_s = min(max(self._ahead_s, told - answered_at), told - asked_at)
