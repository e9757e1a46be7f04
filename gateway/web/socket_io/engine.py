"""The Engine.IO server: makes our sockets for the clients of python-engineio."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from engineio import AsyncServer
from engineio.packet import OPEN, Packet

from gateway.web.http.slow_readers import SlowReaders
from gateway.web.socket_io.engine_socket import EngineSocket
from gateway.web.socket_io.posts import MAX_PACKET_BYTES
from gateway.web.socket_io.strangers import Strangers

PING_INTERVAL_S, PING_TIMEOUT_S = 25, 20

SILENT = logging.getLogger("sluice.engineio")
"""For the library, which would log what clients send."""
SILENT.setLevel(logging.CRITICAL + 1)

_FULL = {
    "status": "503 SERVICE UNAVAILABLE",
    "headers": [("Content-Type", "text/plain"), ("Retry-After", "2")],
    "response": b"Too many clients have not joined a namespace yet.",
}


class RoomEngine(AsyncServer):  # type: ignore[misc]  # the library has no types
    """Implements gateway.web.socket_io.engine_socket.Engine.

    Attributes:
        slow_readers: counts the clients that are disconnected.
        strangers: the clients that have not joined a namespace yet.
    """

    sockets: dict[str, EngineSocket]
    slow_readers: SlowReaders
    strangers: Strangers[EngineSocket]

    def __init__(self, **_: Any) -> None:
        super().__init__(
            async_mode="asgi",
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            max_http_buffer_size=MAX_PACKET_BYTES,
            cors_allowed_origins=[],  # gateway.web.door has the rules
            http_compression=False,
            monitor_clients=False,  # each EngineSocket has its timers
            async_handlers=False,
            logger=SILENT,
        )
        self._closing: set[asyncio.Task[None]] = set()

    def close_soon(self, socket: EngineSocket, reason: str) -> None:
        """Close a client's connection. reason: for the client; empty if it did nothing wrong."""
        task = asyncio.get_running_loop().create_task(socket.close(why=reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def close_stranger(self, socket: EngineSocket) -> None:
        self.close_soon(socket, "Too many clients of this address have not joined a namespace yet.")

    async def close_all(self) -> None:
        """Close all connections, so that polls do not hold up the server's end."""
        for socket in list(self.sockets.values()):
            self.close_soon(socket, "")
        if self._closing:
            await asyncio.wait(self._closing)

    async def hear(self, socket: EngineSocket, data: str) -> None:
        await self.handlers["message"](socket.sid, data)

    async def closed(self, socket: EngineSocket) -> None:
        self.sockets.pop(socket.sid, None)
        await self.handlers["disconnect"](socket.sid, "")

    async def _handle_connect(
        self, environ: Mapping[str, Any], transport: str, jsonp_index: int | None = None
    ) -> Any:
        if self.strangers.is_full:
            return _FULL
        sid = self.generate_id()
        socket = self.sockets[sid] = EngineSocket(self, sid, environ["asgi.scope"])
        opened = {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingInterval": PING_INTERVAL_S * 1000,
            "pingTimeout": PING_TIMEOUT_S * 1000,
            "maxPayload": MAX_PACKET_BYTES,
        }
        socket.put(Packet(OPEN, opened))
        await self.handlers["connect"](sid, socket)
        socket.schedule_ping()
        if transport == "websocket":
            return await socket.handle_get_request(environ)
        socket.connected = True
        return self._ok(await socket.poll())
