"""The interface of a database, and its choice by the URL."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.errors import StorageFailed
from gateway.store.away import reason_of
from gateway.store.membership import Membership
from gateway.store.sqlite_file import SqliteFile, Synchronous

R = TypeVar("R")


class Database(Protocol):
    """A database.

    Attributes:
        migrates: True if a start upgrades the schema; False if only `sluice db upgrade` does.
    """

    migrates: bool

    def opened(self, *, alone: bool = True) -> AbstractAsyncContextManager[None]:
        """Allow connections during the block; leaving it closes them.

        Raises StorageFailed if it cannot be opened, or if `alone` and a gateway uses the SQLite file.
        alone: False for short access while a gateway may use the file.
        """
        ...

    def membership(self, owner: str, internal_url: str | None) -> Membership:
        """Return the connections of a gateway with the others on this database. See PostgresGateways."""
        ...

    def reader(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Return a connection in autocommit mode: it has no transactions and writes nothing."""
        ...

    async def vacuum(self) -> None:
        """Give the space of deleted rows back to the file system. A SQLite file must be opened alone."""
        ...

    async def transact(self, work: Callable[[Connection], R]) -> R:
        """Run `work` in one transaction. It is committed when this returns, and rolled back when this raises,
        also if it is cancelled."""
        ...


@contextmanager
def storage_failures(doing: str) -> Iterator[None]:
    """Translate errors of the database, its driver and deadlines into StorageFailed("could not `doing`")."""
    try:
        yield
    except (SQLAlchemyError, OSError) as exc:
        raise StorageFailed(f"The database could not {doing}: {reason_of(exc)}.") from exc


def open_database(database_url: str, synchronous: Synchronous) -> Database:
    """Return the database at `database_url`, without connecting.

    Raises ValueError if the URL cannot be used; its text omits the URL, which may contain a password.
    synchronous: SQLite's pragma; FULL also survives a loss of power.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):  # ValueError: the port is no number
        raise ValueError("not a database URL, such as sqlite+aiosqlite:///sluice.db") from None
    if url.drivername == "postgresql+asyncpg":
        from gateway.store.postgres import PostgresDatabase  # its driver is an extra

        return PostgresDatabase(url)
    try:
        return SqliteFile(url, synchronous)
    except (SQLAlchemyError, ImportError) as exc:
        raise ValueError(f"no asynchronous driver named {url.drivername} is installed") from exc
