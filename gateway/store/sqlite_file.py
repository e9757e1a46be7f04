"""A SQLite file, used by one process: one connection that writes, and a few that only read."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from gateway.store.file_permissions import make_private
from gateway.store.local_signals import LocalHub, LocalSignals
from gateway.store.lock import Identity, identity_of, sole_owner
from gateway.store.loop_thread import LoopThread
from gateway.store.membership import Membership
from gateway.store.pools import READERS, pool_of
from gateway.store.whole_reads import WholeReads

Synchronous = Literal["NORMAL", "FULL"]
R = TypeVar("R")

# Less than the 5 s for which storing a reply's end is retried, so that there is at least one retry.
BUSY_S = 2

# In KiB, of each connection: half of SQLite's default. The system caches the file too.
CACHE = "cache_size = -1024"


# Without an adapter, the driver makes and drops two exceptions for each None that it binds.
sqlite3.register_adapter(type(None), lambda none: none)


class FileMoved(OSError):
    """A file of the database was moved, removed or replaced while open: changes would be lost."""


class SqliteFile:
    """Implements gateway.store.engine.Database.

    A transaction runs as a whole in a thread. The asynchronous driver, in contrast, calls its thread three or
    four times per statement, which took half of the time and of the CPU.
    """

    migrates = True

    def __init__(self, url: URL, synchronous: Synchronous) -> None:
        if not url.database or url.database.startswith((":memory:", "file:")):
            raise ValueError("SQLite must use a file, not memory: readers and the writer share it")
        self._file = Path(url.database).absolute()
        self._in_place: dict[str, Identity] = {}
        self._kept: Connection | None = None
        self._thread = LoopThread("sqlite-writer")
        # `opened` creates the file before any connection; mode=rw keeps connections from creating it.
        url = url.set(database=self._file.as_uri(), query={**url.query, "mode": "rw", "uri": "true"})
        # isolation_level None: the driver must not begin transactions itself, late and without the write
        # lock.
        connect_args = {"timeout": BUSY_S, "isolation_level": None}
        self.reading = create_async_engine(
            url, connect_args=connect_args, skip_autocommit_rollback=True, **pool_of(READERS)
        )
        self._reads = WholeReads(self.reading)
        self._on_connect(self.reading.sync_engine, "query_only = ON", CACHE)
        self._writing = create_engine(url.set(drivername="sqlite"), connect_args=connect_args, **pool_of(1))
        self._on_connect(
            self._writing, "journal_mode = WAL", f"synchronous = {synchronous}", "foreign_keys = ON", CACHE
        )
        # An event listener could do it too, but takes a quarter of a small transaction's time.
        self._writing.dialect.do_begin = _begin_with_lock  # type: ignore[method-assign]
        self._writing.dialect.do_commit = _commit  # type: ignore[method-assign]

    @asynccontextmanager
    async def opened(self, *, alone: bool = True) -> AsyncIterator[None]:
        """Raises StorageFailed if `alone` and another process has the file open."""
        make_private(self._file.resolve())
        with sole_owner(self._file) if alone else nullcontext(), self._thread.running():
            self._in_place = {str(self._file): identity_of(self._file)}
            try:
                yield
            finally:
                await self._reads.finish()
                await self.reading.dispose()
                await self._thread.call(self._close)

    def membership(self, owner: str, internal_url: str | None) -> Membership:
        return Membership(LocalSignals(owner, LocalHub()))

    def reader(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._reads.connection()

    async def vacuum(self) -> None:
        def whole() -> None:
            with self._writing.connect() as connection:
                driver: Any = connection.connection.dbapi_connection  # SQLAlchemy would begin a transaction
                driver.execute("VACUUM")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        await self._thread.call(whole)

    async def transact(self, work: Callable[[Connection], R]) -> R:
        given_up = False
        committed: list[R] = []

        def whole() -> R:
            self._check_in_place()
            with self._kept_connection() as connection, connection.begin():
                done = work(connection)
                if given_up:
                    raise TimeoutError("the transaction was given up")
            committed.append(done)
            if len(self._in_place) == 1:
                self._note_files_beside()
            return done

        try:
            return await self._thread.call(whole)
        except asyncio.CancelledError:
            given_up = True
            await self._thread.call(lambda: None)  # the thread is busy with `whole` until then
            if committed:
                return committed[0]
            raise

    @contextmanager
    def _kept_connection(self) -> Iterator[Connection]:
        """Yield the same connection for all transactions: a checkout from the pool takes longer than a
        statement. After an error the connection returns to the pool, which resets it."""
        connection, self._kept = self._kept or self._writing.connect(), None
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._kept = connection

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._writing.dispose()

    def _note_files_beside(self) -> None:
        """Record the identity of the other files that SQLite has created and opened."""
        file = self._file.resolve()
        for beside in (file.with_name(f"{file.name}{ending}") for ending in ("-wal", "-shm")):
            with suppress(FileNotFoundError):
                self._in_place[str(beside)] = identity_of(beside)

    def _check_in_place(self) -> None:
        """Raise FileMoved if a file of the database is no longer at its path."""
        for file, identity in self._in_place.items():
            try:
                found = identity_of(file) == identity
            except FileNotFoundError:
                found = False
            if not found:
                raise FileMoved(
                    f"{Path(file).name} was removed, renamed or replaced while the gateway uses it; "
                    "restore it or restart the gateway"
                )

    def _on_connect(self, engine: Engine, *pragmas: str) -> None:
        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: object) -> None:
            self._check_in_place()
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()


def _begin_with_lock(dbapi_connection: PoolProxiedConnection) -> None:
    cast(sqlite3.Connection, dbapi_connection.dbapi_connection).execute("BEGIN IMMEDIATE")


def _commit(dbapi_connection: PoolProxiedConnection) -> None:
    # The driver keeps this statement, but its `commit` parses one each time.
    cast(sqlite3.Connection, dbapi_connection.dbapi_connection).execute("COMMIT")
