"""Connections to the database: one that writes, and a few that only read."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.contract.errors import StorageFailed
from gateway.store.file_permissions import make_private
from gateway.store.lock import Identity, identity_of, sole_owner

Synchronous = Literal["NORMAL", "FULL"]
R = TypeVar("R")

READERS = 4
POOL_WAIT_S = 5
# Less than the 5 s for which storing a reply's end is retried, so that there is at least one retry.
BUSY_S = 2


class FileMoved(OSError):
    """A file of the database was moved, removed or replaced while open: changes would be lost."""


class Database(Protocol):
    """A database. `reading` connects in autocommit mode: it has no transactions and writes nothing."""

    reading: AsyncEngine

    def opened(self, *, alone: bool = True) -> AbstractAsyncContextManager[None]:
        """Allow connections during the block; leaving it closes them.

        alone: False for short access while another process has the database open.
        """
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
        raise StorageFailed(f"The database could not {doing}.") from exc


def open_database(database_url: str, synchronous: Synchronous) -> Database:
    """Return the database at `database_url`, without connecting.

    Raises ValueError if the URL cannot be used; its text omits the URL, which may contain a password.
    synchronous: SQLite's pragma; FULL also survives a loss of power.
    """
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise ValueError("not a database URL, such as sqlite+aiosqlite:///sluice.db") from None
    try:
        return SqliteFile(url, synchronous) if url.get_backend_name() == "sqlite" else SharedDatabase(url)
    except (SQLAlchemyError, ImportError) as exc:
        raise ValueError(f"no asynchronous driver named {url.drivername} is installed") from exc


class SharedDatabase:
    """A database that several processes may share."""

    def __init__(self, url: URL) -> None:
        self.reading = create_async_engine(
            url, isolation_level="AUTOCOMMIT", pool_pre_ping=True, **_pool(READERS)
        )
        self._writing = create_async_engine(url, pool_pre_ping=True, **_pool(1))

    @asynccontextmanager
    async def opened(self, *, alone: bool = True) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.reading.dispose()
            await self._writing.dispose()

    async def transact(self, work: Callable[[Connection], R]) -> R:
        async with self._writing.begin() as connection:
            return await connection.run_sync(work)


class SqliteFile:
    """A SQLite file, used by one process.

    A transaction runs as a whole in a thread. The asynchronous driver, in contrast, calls its thread three or
    four times per statement, which took half of the time and of the CPU.
    """

    def __init__(self, url: URL, synchronous: Synchronous) -> None:
        if not url.database or url.database.startswith((":memory:", "file:")):
            raise ValueError("SQLite must use a file, not memory: readers and the writer share it")
        self._file = Path(url.database).absolute()
        self._in_place: dict[Path, Identity] = {}
        self._kept: Connection | None = None
        # `opened` creates the file before any connection; mode=rw keeps connections from creating it.
        url = url.set(database=self._file.as_uri(), query={**url.query, "mode": "rw", "uri": "true"})
        # isolation_level None: the driver must not begin transactions itself, late and without the write
        # lock.
        connect_args = {"timeout": BUSY_S, "isolation_level": None}
        self.reading = create_async_engine(
            url, connect_args=connect_args, skip_autocommit_rollback=True, **_pool(READERS)
        )
        self._on_connect(self.reading.sync_engine, "query_only = ON")
        self._writing = create_engine(url.set(drivername="sqlite"), connect_args=connect_args, **_pool(1))
        self._on_connect(
            self._writing, "journal_mode = WAL", f"synchronous = {synchronous}", "foreign_keys = ON"
        )

        @event.listens_for(self._writing, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    @asynccontextmanager
    async def opened(self, *, alone: bool = True) -> AsyncIterator[None]:
        """Raises StorageFailed if `alone` and another process has the file open."""
        make_private(self._file.resolve())
        with (
            sole_owner(self._file) if alone else nullcontext(),
            ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer") as self._thread,
        ):
            self._in_place = {self._file: identity_of(self._file)}
            try:
                yield
            finally:
                await self.reading.dispose()
                await self._in_thread(self._close)

    async def transact(self, work: Callable[[Connection], R]) -> R:
        given_up = threading.Event()

        def whole() -> R:
            self._check_in_place()
            with self._kept_connection() as connection, connection.begin():
                done = work(connection)
                if given_up.is_set():
                    raise TimeoutError("the transaction was given up")
            if len(self._in_place) == 1:
                self._note_files_beside()
            return done

        visit = self._in_thread(whole)
        try:
            return await asyncio.shield(visit)
        except asyncio.CancelledError:
            given_up.set()
            await asyncio.wait({visit})  # the single thread is busy until then anyway
            if visit.exception() is None:
                return visit.result()
            raise

    def _in_thread(self, work: Callable[[], R]) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

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
                self._in_place[beside] = identity_of(beside)

    def _check_in_place(self) -> None:
        """Raise FileMoved if a file of the database is no longer at its path."""
        for file, identity in self._in_place.items():
            try:
                found = identity_of(file) == identity
            except FileNotFoundError:
                found = False
            if not found:
                raise FileMoved(
                    f"{file.name} was removed, renamed or replaced while the gateway uses it; restore it or "
                    "restart the gateway"
                )

    def _on_connect(self, engine: Engine, *pragmas: str) -> None:
        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: object) -> None:
            self._check_in_place()
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()


def _pool(connections: int) -> dict[str, Any]:
    return {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": POOL_WAIT_S,
        "hide_parameters": True,  # logs must not contain users' messages
    }
