"""Every database a store may keep its messages in; a new one adds a rig here."""

import json
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from gateway.core.access import OwnerAccess
from gateway.store.sql_store import SqlStore
from tests.store.memory_replies import MemoryDatabase
from tests.store.memory_store import MemoryStore


class Runnable(MessageStore, Protocol):
    """A store as both rigs make it."""

    def running(self, *, alone: bool = True) -> AbstractAsyncContextManager[None]: ...


class StoreRig(Protocol):
    """One empty database."""

    def store(self, **given: Any) -> Runnable:
        """A new store on the same database, as after a restart; each of its changes has a later time."""
        ...

    def later(self, by: timedelta) -> None:
        """Let that much time pass for its stores."""
        ...

    async def take_over(
        self, message_id: int, content: str, *, owner: str | None = "another", epochs: int = 1
    ) -> None:
        """Adopt a reply as another gateway would, and let it say `content`. owner None: keep the owner."""
        ...

    async def ownership(self, message_id: int) -> tuple[str | None, int, object]:
        """A reply's owner, epoch and handle."""
        ...


class SqliteRig:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "sluice.db"
        self.url = f"sqlite+aiosqlite:///{self.file}"
        self._clock = TickingClock()

    def store(self, **given: Any) -> SqlStore:
        return SqlStore(self.url, clock=self._clock, **({"access": OwnerAccess()} | given))

    def later(self, by: timedelta) -> None:
        self._clock.now += by

    def now(self) -> datetime:
        return self._clock.now

    async def take_over(
        self, message_id: int, content: str, *, owner: str | None = "another", epochs: int = 1
    ) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute(
                "UPDATE messages SET owner = coalesce(?, owner), epoch = epoch + ?, content = ? WHERE id = ?",
                (owner, epochs, content, message_id),
            )

    async def ownership(self, message_id: int) -> tuple[str | None, int, object]:
        with closing(sqlite3.connect(self.file)) as connection:
            owner, epoch, handle = connection.execute(
                "SELECT owner, epoch, handle FROM messages WHERE id = ?", (message_id,)
            ).fetchone()
        return owner, epoch, None if handle is None else json.loads(handle)


class PostgresRig:
    """url: of an empty database with the newest schema."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clock = TickingClock()

    def store(self, **given: Any) -> SqlStore:
        return SqlStore(self.url, clock=self._clock, **({"access": OwnerAccess()} | given))

    def later(self, by: timedelta) -> None:
        self._clock.now += by

    def now(self) -> datetime:
        return self._clock.now

    async def take_over(
        self, message_id: int, content: str, *, owner: str | None = "another", epochs: int = 1
    ) -> None:
        await self._execute(
            "UPDATE messages SET owner = coalesce($1, owner), epoch = epoch + $2, content = $3 WHERE id = $4",
            *(owner, epochs, content, message_id),
        )

    async def ownership(self, message_id: int) -> tuple[str | None, int, object]:
        ((owner, epoch, handle),) = await self._execute(
            "SELECT owner, epoch, handle::text FROM messages WHERE id = $1", message_id
        )
        return owner, epoch, None if handle is None else json.loads(handle)

    async def connect(self) -> Any:
        """A connection of another program."""
        return await asyncpg.connect(self.url.replace("+asyncpg", ""))

    async def _execute(self, statement: str, *values: object) -> list[Any]:
        connection = await self.connect()
        try:
            rows: list[Any] = await connection.fetch(statement, *values)
            return rows
        finally:
            await connection.close()


class MemoryRig:
    """The same promises without a database."""

    def __init__(self, _: Path) -> None:
        self._database = MemoryDatabase()
        self._clock = TickingClock()

    def store(self, **given: Any) -> MemoryStore:
        return MemoryStore(self._database, clock=self._clock, **given)

    def later(self, by: timedelta) -> None:
        self._clock.now += by

    def now(self) -> datetime:
        return self._clock.now

    async def take_over(
        self, message_id: int, content: str, *, owner: str | None = "another", epochs: int = 1
    ) -> None:
        kept = self._database.messages[message_id]
        kept.owner, kept.epoch = owner or kept.owner, kept.epoch + epochs
        kept.message = replace(kept.message, content=content)

    async def ownership(self, message_id: int) -> tuple[str | None, int, object]:
        kept = self._database.messages[message_id]
        return kept.owner, kept.epoch, kept.handle


SqlRig = SqliteRig | PostgresRig


class TickingClock:
    """A second later at every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now
