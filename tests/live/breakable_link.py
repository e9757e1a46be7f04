"""A TCP link to a server that tests cut and mend."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.live.brokers import free_port


class BreakableLink:
    """Forwards the connections to a port of loopback. url: of the link's own port, which stays the same."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.url = f"http://127.0.0.1:{self._port}"

    async def mend(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        assert self._server is not None
        self._server.close()
        connections, self._connections = self._connections, set()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.ensure_future(self._serve(incoming, outgoing)))

    async def _serve(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", self._to_port)
            asking = asyncio.create_task(_forward(incoming, requests))
            try:
                await _forward(answers, outgoing)
            finally:
                asking.cancel()
                requests.transport.abort()
        finally:
            outgoing.transport.abort()


async def _forward(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
    """Forward until `incoming` ends, and then end the other direction too."""
    with suppress(ConnectionError):
        while received := await incoming.read(65536):
            outgoing.write(received)
            await outgoing.drain()
    outgoing.close()


@asynccontextmanager
async def breakable_link(to_port: int) -> AsyncIterator[BreakableLink]:
    link = BreakableLink(to_port)
    await link.mend()
    try:
        yield link
    finally:
        await link.cut()
