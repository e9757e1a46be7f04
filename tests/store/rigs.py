"""Every database a store may keep its messages in; a new one adds a rig here."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from gateway.store.sql_store import SqlStore


class StoreRig(Protocol):
    """One empty database."""

    @property
    def url(self) -> str: ...

    def store(self) -> SqlStore:
        """A new store on the same database, as after a restart; each of its changes has a later time."""
        ...


class SqliteRig:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "sluice.db"
        self.url = f"sqlite+aiosqlite:///{self.file}"
        self._clock = TickingClock()

    def store(self) -> SqlStore:
        return SqlStore(self.url, clock=self._clock)


STORE_RIGS: list[Callable[[Path], StoreRig]] = [SqliteRig]


class TickingClock:
    """A second later at every look."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now
