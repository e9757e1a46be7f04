"""A TCP server whose connections do exactly what a test tells them to."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Literal, cast

Ending = Literal["stay", "close", "reset"]


class Peer(asyncio.Protocol):
    """One connection as the server sees it.

    asked: the request's head and body have come. gone: the client has hung up, or we have.
    """

    def __init__(self, server: "RawServer") -> None:
        self._server = server
        self.received = b""
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._server.peers.append(self)
        self._server.connected.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank_line, body = self.received.partition(b"\r\n\r\n")
        _, named, length = head.lower().partition(b"content-length: ")
        expected = int(length.partition(b"\r\n")[0]) if named else 0
        if blank_line and len(body) >= expected and not self.asked.is_set():
            self.asked.set()
            self.say(self._server.answer, self._server.ending)

    def say(self, parts: list[bytes], ending: Ending = "stay") -> None:
        """Send the parts one by one, so that the client, on the same loop, may read between them."""
        if self.transport.is_closing():
            return
        if parts:
            self.transport.write(parts[0])
            asyncio.get_running_loop().call_soon(self.say, parts[1:], ending)
        elif ending == "reset":
            raw: socket.socket = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif ending == "close":
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


class RawServer:
    """answer: what every connection says, part by part, once it was asked; ending: what it does then."""

    def __init__(self) -> None:
        self.answer: list[bytes] = []
        self.ending: Ending = "stay"
        self.peers: list[Peer] = []
        self.connected = asyncio.Event()
        self.url = ""

    async def peer(self) -> Peer:
        """The latest connection, as soon as there is one."""
        await self.connected.wait()
        return self.peers[-1]


@contextlib.asynccontextmanager
async def raw_server(context: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    server = RawServer()
    listener = await asyncio.get_running_loop().create_server(
        lambda: Peer(server), "127.0.0.1", 0, ssl=context
    )
    host, port = listener.sockets[0].getsockname()
    server.url = f"{'https' if context else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        listener.close()
        for peer in server.peers:
            if not peer.gone.is_set():
                peer.transport.abort()
            await peer.gone.wait()
        await listener.wait_closed()
