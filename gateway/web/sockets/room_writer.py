"""Writes a room's events to a WebSocket, and disconnects a client that does not read them."""

import asyncio

from gateway.web.http.message_connection import MessageConnection
from gateway.web.http.slow_readers import SlowReaders

MAX_WAITING_BYTES = 256 * 1024
"""Bytes that may wait for a client before it is disconnected. It joins again, and gets what it missed."""


class RoomWriter:
    """slow_readers: counts the clients that are disconnected.

    The messages that a client missed, which it gets when it joins, may be more than MAX_WAITING_BYTES: they
    do not count. A client gets those of one room at a time, and SlowReaders has a limit for it.
    """

    __slots__ = ("_catching_up", "_connection", "_may_wait", "_slow_readers", "_until_writable")

    def __init__(self, connection: MessageConnection, slow_readers: SlowReaders) -> None:
        self._connection = connection
        self._slow_readers = slow_readers
        self._may_wait = MAX_WAITING_BYTES
        self._catching_up = False
        self._until_writable: asyncio.Future[None] | None = None

    def write(self, message: bytes) -> None:
        """Send a message. Does not block and does not raise."""
        connection = self._connection
        if not connection.writable:
            if self._catching_up:
                self._may_wait += len(message)
            elif connection.waiting_bytes > self._may_wait:
                self._slow_readers.cut += 1
                connection.abort()
                return
        connection.write_messages((message,))

    async def begin_catching_up(self) -> None:
        """Wait until the connection is writable, or lost. Messages until `end_catching_up` do not count."""
        if not self._connection.writable:
            self._until_writable = asyncio.get_running_loop().create_future()
            await self._until_writable
        self._catching_up = True

    def end_catching_up(self) -> None:
        self._catching_up = False

    def connection_writable(self) -> None:
        """The connection is writable again, or lost."""
        self._may_wait = MAX_WAITING_BYTES
        if self._until_writable is not None and not self._until_writable.done():
            self._until_writable.set_result(None)
