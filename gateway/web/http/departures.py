"""Work for a client that is cancelled when the client disconnects."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.web.http.asgi import Connection

Answer = TypeVar("Answer")


async def unless_gone(connection: Connection, work: Awaitable[Answer]) -> Answer | None:
    """Return the result of `work`. None if the client disconnects before; then `work` is cancelled."""
    patience = asyncio.timeout(None)
    try:
        async with patience:
            connection.watch(_Departure(patience))
            return await work
    except TimeoutError:
        if not patience.expired():
            raise
        return None
    finally:
        connection.watch(None)


class _Departure:
    """Ends a wait when its client disconnects."""

    def __init__(self, patience: asyncio.Timeout) -> None:
        self._patience = patience

    def connection_lost(self) -> None:
        if not self._patience.expired():  # a second call, while the work cleans up
            self._patience.reschedule(asyncio.get_running_loop().time())

    def connection_writable(self) -> None:
        pass
