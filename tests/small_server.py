"""A TCP server of a test: one function for each connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yield the server's port. A connection is closed when `serve` returns or the block is left, which waits
    for it. Raises the first error of `serve`, except that of a client that is gone."""
    connections: set[asyncio.Task[None]] = set()

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.ensure_future(until_closed(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    await asyncio.sleep(0)  # a task that is cancelled before it begins would close nothing
    for connection in connections:
        connection.cancel()
    for ended in await asyncio.gather(*connections, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
