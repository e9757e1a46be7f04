"""The way into the database: one connection that writes, a few that only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.contract.errors import StorageFailed
from gateway.store.lock import sole_owner

Synchronous = Literal["NORMAL", "FULL"]

READERS = 4
POOL_WAIT_S = 5
# Below the 5 s for which the end of a reply is tried again, so that there is a second try.
BUSY_S = 2


@dataclass(frozen=True, slots=True)
class Database:
    """reading commits nothing and begins nothing: each of its statements stands alone.

    file: the SQLite file; None for a server, which many processes may share.
    """

    reading: AsyncEngine
    writing: AsyncEngine
    file: Path | None

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keep other processes out of a SQLite file; StorageFailed when one is in already."""
        if self.file is None:
            yield
            return
        file = self.file.resolve()  # one lock for one file, whatever link leads to it
        with sole_owner(file.with_name(f"{file.name}.lock")):
            yield

    async def dispose(self) -> None:
        await self.reading.dispose()
        await self.writing.dispose()


@contextmanager
def storage_failures(doing: str) -> Iterator[None]:
    """What the database, its driver or a deadline raises becomes StorageFailed: it "could not `doing`"."""
    try:
        yield
    except (SQLAlchemyError, OSError) as exc:
        raise StorageFailed(f"The database could not {doing}.") from exc


def open_database(database_url: str, synchronous: Synchronous) -> Database:
    """Engines for `database_url`; nothing is connected yet.

    ValueError, without the URL since it may hold a password, if nobody can connect to it.
    synchronous: SQLite's; FULL also survives a loss of power.
    """
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise ValueError("not a database URL, such as sqlite+aiosqlite:///sluice.db") from None
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite(url, synchronous)
        return Database(
            reading=_engine(url, READERS, isolation_level="AUTOCOMMIT", pool_pre_ping=True),
            writing=_engine(url, 1, pool_pre_ping=True),
            file=None,
        )
    except (SQLAlchemyError, ImportError) as exc:
        raise ValueError(f"no asynchronous driver named {url.drivername} is installed") from exc


def _engine(url: URL, connections: int, **options: Any) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        hide_parameters=True,  # what people wrote has no place in a log
        **options,
    )


def _sqlite(url: URL, synchronous: Synchronous) -> Database:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ValueError("SQLite must be a plain file: readers and the writer meet there")
    # The driver would begin transactions by itself, late and without the write lock: it is told not to.
    connect_args = {"timeout": BUSY_S, "isolation_level": None}
    writing = _engine(url, 1, connect_args=connect_args)
    _on_connect(writing, "journal_mode = WAL", f"synchronous = {synchronous}", "foreign_keys = ON")

    @event.listens_for(writing.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    reading = _engine(url, READERS, connect_args=connect_args, skip_autocommit_rollback=True)
    _on_connect(reading, "query_only = ON")
    return Database(reading, writing, Path(url.database))


def _on_connect(engine: AsyncEngine, *pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
