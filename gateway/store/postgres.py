"""A PostgreSQL database: one connection that writes, and a few that only read. Other gateways may use it."""

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Text, cast, event, func, select, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from gateway.contract.errors import StorageFailed
from gateway.contract.host_ports import address_of
from gateway.store.away import is_away, lost_connection, reason_of
from gateway.store.database_clock import DatabaseClock
from gateway.store.membership import Membership
from gateway.store.pools import READERS, pool_of
from gateway.store.statements import Statement
from gateway.store.whole_reads import WholeReads

log = logging.getLogger("sluice.store")

R = TypeVar("R")

# It comes first in every transaction. SQLAlchemy sends BEGIN before it.
_TRANSACTION_ID = Statement(select(cast(func.pg_current_xact_id(), Text)))

CONNECT_S = 5
COMMIT_S = 5.0
"""Seconds within which a commit must be known to have succeeded or failed after its connection was lost."""

ASK_AGAIN_S = 0.1

FINISH_S = 1.0
"""Seconds within which reads, for which nobody waits, may finish when the database is closed."""

LEFT_S = 5.0
"""Seconds within which a read must be answered whose caller has left."""

_SESSION = {
    "application_name": "sluice",
    "jit": "off",
    # Row locks of a gateway that is frozen in a transaction end with its session, after DEAD_S, within which
    # it may still go on. Without the others those of a gateway whose machine has gone stay for two hours.
    "idle_in_transaction_session_timeout": "4s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


# PostgreSQL's own names have 63 characters; see announcements.CHANNEL. pg_temp would take all tables and lose
# them with the connection.
_SCHEMA = re.compile("(?!pg_|information_schema$)[a-z_][a-z0-9_]{0,49}")


class PostgresDatabase:
    """Implements gateway.store.engine.Database.

    Raises ValueError if the driver is not installed, or the URL cannot be used.
    """

    migrates = False

    def __init__(self, url: URL) -> None:
        self.schema, url = _schema_of(url)
        settings = _SESSION if self.schema is None else _SESSION | {"search_path": self.schema}
        self._url, self._settings = url, settings
        try:
            from gateway.store.postgres_connection import BoundedConnection

            connect_args = {
                "timeout": CONNECT_S,
                "server_settings": settings,
                "connection_class": BoundedConnection,
            }
            self.reading = create_async_engine(
                url, isolation_level="AUTOCOMMIT", connect_args=connect_args, **pool_of(READERS)
            )
            self._writing = create_async_engine(url, connect_args=connect_args, **pool_of(1))
        except ImportError:
            raise ValueError(
                "PostgreSQL needs the driver asyncpg: pip install 'sluice-gateway[cluster]'"
            ) from None
        except SQLAlchemyError as exc:
            raise ValueError(str(exc)) from exc
        _check_options(url)
        host, port = url.host or url.query.get("host", "localhost"), url.port or 5432
        self._named = f"PostgreSQL at {address_of(str(host), port)}"
        self._name = url.database
        self._reads = WholeReads(self.reading, LEFT_S)
        self._committing = False
        self._kept: AsyncConnection | None = None
        for engine in (self.reading, self._writing):
            event.listen(engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def opened(self, *, alone: bool = True) -> AsyncIterator[None]:
        """alone: has no meaning here, because several gateways may use the database."""
        try:
            try:
                self._kept = await self._writing.connect()
            except (SQLAlchemyError, OSError, TypeError, ValueError) as exc:  # the last two: a wrong option
                raise StorageFailed(
                    f"{self._named}, database {self._name}, cannot be used: {reason_of(exc)}."
                ) from exc
            yield
        finally:
            await self._reads.finish(FINISH_S)
            await self.reading.dispose()
            if self._kept is not None:
                await self._kept.close()
            await self._writing.dispose()

    def membership(self, owner: str, internal_url: str | None) -> Membership:
        from gateway.store.postgres_gateways import PostgresGateways  # their driver is an extra
        from gateway.store.postgres_link import PostgresLink
        from gateway.store.postgres_signals import PostgresSignals

        link = PostgresLink(self._connect, self._named)
        signals = PostgresSignals(link, owner)
        clock = DatabaseClock()
        gateways = PostgresGateways(link, signals, clock, owner, internal_url)
        return Membership(signals, gateways, clock, link.close)

    async def _connect(self) -> Any:
        """Return a new connection of asyncpg, outside of the pools."""
        import asyncpg

        _, given = self.reading.dialect.create_connect_args(self._url)
        for name in ("prepared_statement_cache_size", "prepared_statement_name_func"):
            given.pop(name, None)  # of SQLAlchemy
        return await asyncpg.connect(**given, server_settings=self._settings)

    def reader(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._reads.connection()

    async def vacuum(self) -> None:
        async with self.reader() as connection:
            await connection.execute(text("VACUUM (ANALYZE)"))

    async def transact(self, work: Callable[[Connection], R]) -> R:
        transaction = asyncio.ensure_future(self._whole(work))
        try:
            return await asyncio.shield(transaction)
        except asyncio.CancelledError:
            if self._committing:
                await asyncio.wait({transaction}, timeout=COMMIT_S)
            transaction.cancel()
            await asyncio.wait({transaction})
            if not transaction.cancelled() and transaction.exception() is None:
                return transaction.result()
            raise

    async def _whole(self, work: Callable[[Connection], R]) -> R:
        self._committing = False
        if self._kept is not None and not _is_lost(self._kept):
            try:
                return await self._attempt(self._kept, work)
            except DBAPIError as error:
                if not lost_connection(error) or self._committing:
                    raise
        # The server closed the connection while it was idle, and rolled back what was begun on it.
        await self._let_go()
        try:
            self._kept = await self._writing.connect()
        except OSError as exc:
            raise ConnectionError(f"{self._named} cannot be reached: {reason_of(exc)}") from exc
        return await self._attempt(self._kept, work)

    async def _attempt(self, connection: AsyncConnection, work: Callable[[Connection], R]) -> R:
        """Run the transaction. The connection is kept for the next one: checking it out takes longer than a
        statement. After an error it returns to the pool, which resets it."""
        try:
            done, transaction_id, lost = await connection.run_sync(self._commit, work)
        except BaseException as error:
            # If it was cancelled, the server may still be at work.
            if not isinstance(error, Exception) or lost_connection(error):
                await connection.invalidate()
            await self._let_go()
            raise
        if lost is not None:
            await self._let_go()
            is_committed = await self._is_committed(transaction_id)
            if not is_committed:
                self._committing = is_committed is None
                raise lost
        return done

    def _commit(
        self, connection: Connection, work: Callable[[Connection], R]
    ) -> tuple[R, str, Exception | None]:
        """Return the outcome of `work`, the transaction's id, and an error that leaves it unknown if it was
        committed."""
        transaction = connection.begin()
        try:
            (transaction_id,) = _TRANSACTION_ID.row(connection, {})
            done = work(connection)
        except Exception:
            transaction.close()
            raise
        self._committing = True
        try:
            transaction.commit()
        except (SQLAlchemyError, OSError) as exc:
            if not is_away(exc):
                raise
            return done, transaction_id, exc
        return done, transaction_id, None

    async def _is_committed(self, transaction_id: str) -> bool | None:
        """Ask the server, as soon as it answers again. Return None if it does not within COMMIT_S."""
        try:
            async with asyncio.timeout(COMMIT_S):
                while True:
                    try:
                        async with self._writing.connect() as connection:
                            state = (
                                await connection.exec_driver_sql(
                                    "SELECT pg_xact_status($1::text::xid8)", (transaction_id,)
                                )
                            ).scalar()
                    except (SQLAlchemyError, OSError) as exc:
                        if not is_away(exc):
                            raise
                        state = None
                    if state in ("committed", "aborted"):
                        return bool(state == "committed")
                    await asyncio.sleep(ASK_AGAIN_S)
        except TimeoutError:
            log.error("it is unknown whether the database kept the last changes before it was lost")
            return None

    async def _let_go(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()


def _is_lost(connection: AsyncConnection) -> bool:
    sync = connection.sync_connection
    return sync is None or sync.invalidated or _is_closed(sync.connection)


def _is_closed(connection: Any) -> bool:
    """Return True if the server has closed it. asyncpg knows that without a question to the server."""
    return bool(connection.driver_connection.is_closed())


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Let the pool replace a closed connection."""
    if _is_closed(connection):
        raise DisconnectionError("the server has closed the connection")


def _check_options(url: URL) -> None:
    """Raise ValueError for an option that asyncpg does not have, such as libpq's `sslmode`."""
    import asyncpg

    known = inspect.signature(asyncpg.connect).parameters
    if unknown := sorted(set(url.query) - {*known, "prepared_statement_cache_size"}):
        raise ValueError(f"there is no option {unknown[0]!r}; TLS is ?ssl=verify-full or ?ssl=require")


def _schema_of(url: URL) -> tuple[str | None, URL]:
    """Return the schema that the URL names, and the URL without it."""
    schema = url.query.get("schema")
    if schema is None:
        return None, url
    if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema):
        raise ValueError(
            "its schema must be at most 50 of a-z 0-9 _, must not begin with a digit or pg_, and must not be "
            "information_schema"
        )
    return schema, url.difference_update_query(["schema"])
