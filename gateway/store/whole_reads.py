"""Reads that go on when their caller is cancelled.

A cancelled query costs asyncpg its connection. One of aiosqlite that is cancelled twice leaves a task that
never ends, for which the program would wait at its end; one that connects leaves an open file.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.store.away import lost_connection


class WholeConnection(AsyncConnection):
    """A connection whose query is finished when its caller has left. query: the latest one, or the start."""

    query: "asyncio.Future[Any] | None" = None

    async def start(self, is_ctxmanager: bool = False) -> "WholeConnection":
        pool: Any = self.sync_engine.pool
        if pool.checkedin():  # a connection is there at once, without a task
            await super().start(is_ctxmanager)
        else:
            self.query = asyncio.ensure_future(super().start(is_ctxmanager))
            await asyncio.shield(self.query)
        return self

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        self.query = asyncio.ensure_future(self._execute(*arguments, **options))
        return await asyncio.shield(self.query)

    async def _execute(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().execute(*arguments, **options)
        except DBAPIError as error:
            if not lost_connection(error):
                raise
        # The server closed the connection while it was idle. A read can be repeated on another one.
        await self.invalidate()
        await self.rollback()
        return await super().execute(*arguments, **options)

    def abort(self) -> None:
        """End the query, and close the connection to PostgreSQL without waiting for the server."""
        connection: Any = self.sync_connection
        if not (connection is None or connection.closed or connection.invalidated):
            connection.connection.driver_connection.terminate()
        if self.query is not None:
            self.query.cancel()


class WholeReads:
    """Lends connections of an engine, and finishes queries whose callers were cancelled.

    left_s: seconds after which such a query is aborted with its connection to PostgreSQL: the way to the
    server may be gone, which a socket notices after a quarter of an hour. None: never.
    """

    def __init__(self, engine: AsyncEngine, left_s: float | None = None) -> None:
        self._engine = engine
        self._left_s = left_s
        self._left: dict[asyncio.Task[None], WholeConnection] = {}

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        connection = WholeConnection(self._engine)
        try:
            await connection.start()
            yield connection
        finally:
            if connection.query is None or connection.query.done():
                await _close(connection)
            else:
                left = asyncio.create_task(self._finish(connection, connection.query))
                self._left[left] = connection
                left.add_done_callback(self._left.pop)

    async def finish(self, within_s: float | None = None) -> None:
        """Wait for all queries. Abort the connections to PostgreSQL of those that are not done in time."""
        late = set(self._left)
        if late:
            _, late = await asyncio.wait(late, timeout=within_s)
        for left in late:
            self._left[left].abort()
        if late:
            await asyncio.wait(late)

    async def _finish(self, connection: WholeConnection, query: "asyncio.Future[Any]") -> None:
        await asyncio.wait({query}, timeout=self._left_s)
        if not query.done():
            connection.abort()
            await asyncio.wait({query})
        if not query.cancelled():
            query.exception()  # nobody else retrieves it: asyncio would log it as an error
        await _close(connection)


async def _close(connection: AsyncConnection) -> None:
    if connection.sync_connection is not None:  # else it could not be opened
        await connection.close()
