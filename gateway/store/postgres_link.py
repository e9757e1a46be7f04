"""The connection of a gateway for its heartbeat and signals: no transaction of the store delays them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from asyncpg import InterfaceError, InternalClientError, PostgresError

from gateway.contract.errors import StorageFailed
from gateway.store.announcements import CHANNEL

CONNECT_S = 3.0
ANSWER_S = 1.0
"""Maximum seconds for one statement. It must be less than liveness.FENCE_S."""


Connect = Callable[[], Awaitable[Any]]
"""Opens a connection of asyncpg."""


class PostgresLink:
    """One connection, opened at its first use and replaced after a loss.

    Attributes:
        on_notification: called with the payload of each notification; None: it does not listen.
        on_loss: called when it listens again after the connection was lost.
    """

    def __init__(self, connect: Connect, named: str) -> None:
        self._connect = connect
        self._named = named
        self._connection: Any = None
        self._busy = asyncio.Lock()
        self._was_open = False
        self.on_notification: Callable[[str], None] | None = None
        self.on_loss: Callable[[], None] = lambda: None

    @property
    def is_open(self) -> bool:
        """False from a loss, as soon as it is noticed, until it listens again."""
        return self._connection is not None and not self._connection.is_closed()

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Run one statement, after those that are waiting. Raises StorageFailed."""
        async with self._busy:
            try:
                if not self.is_open:
                    await self._open()
                rows: list[Any] = await self._within(ANSWER_S, self._connection.fetch(sql, *values))
            except InternalClientError as exc:  # asyncpg, of a connection that was lost at a bad moment
                if self._connection is not None:
                    self._connection.terminate()
                raise StorageFailed(f"{self._named} does not answer: {exc}.") from exc
            except (OSError, PostgresError, InterfaceError) as exc:
                raise StorageFailed(f"{self._named} does not answer: {exc}.") from exc
        return rows

    async def close(self) -> None:
        """Close the connection; `fetch` opens another one."""
        async with self._busy:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    await self._within(ANSWER_S, connection.close(), connection)
                except (OSError, PostgresError, InterfaceError, InternalClientError):
                    connection.terminate()

    async def _open(self) -> None:
        connection = await self._within(CONNECT_S, _opened(self._connect))
        try:
            if self.on_notification is not None:
                await self._within(ANSWER_S, self._listen(connection), connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        if self._was_open and self.on_notification is not None:
            self.on_loss()
        self._was_open = True

    async def _listen(self, connection: Any) -> None:
        channel = await connection.fetchval(f"SELECT {CHANNEL}")
        await connection.add_listener(channel, self._notified)

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        if self.on_notification is not None:
            self.on_notification(payload)

    async def _within(self, seconds: float, work: Coroutine[Any, Any, Any], connection: Any = None) -> Any:
        """Return the result of `work`. Raises TimeoutError.

        Late or cancelled work ends by closing the connection: otherwise asyncpg would open another one to
        cancel the statement, which the server logs as an error.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            if not task.done():
                if (connection := connection or self._connection) is not None:
                    connection.terminate()
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise TimeoutError(f"it took longer than {seconds:g} s")
        return task.result()


async def _opened(connect: Connect) -> Any:
    return await connect()
