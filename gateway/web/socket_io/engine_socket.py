"""One client of Engine.IO: written to without awaiting, with heartbeats by timers, and limits.

It replaces most of python-engineio's AsyncSocket, which needs two tasks and a queue for each client, buffers
without a limit, and keeps a client for 45 s that sends nothing.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from engineio.async_socket import AsyncSocket
from engineio.packet import CLOSE, MESSAGE, NOOP, PING, PONG, UPGRADE, Packet

from gateway.contract.errors import GatewayError, LimitExceeded
from gateway.rooms.event_rates import Bucket
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.first_messages import SMALL_BYTES
from gateway.web.http.message_connection import MessageConnection, socket_of
from gateway.web.http.slow_readers import SlowReaders
from gateway.web.socket_io.poll_queue import PollQueue
from gateway.web.socket_io.posts import MAX_PACKET_BYTES, ArrivingPost, BadPacket, packets_of
from gateway.web.socket_io.strangers import Strangers
from gateway.web.sockets.room_writer import RoomWriter

log = logging.getLogger("sluice.web")

ADMITTED_WITHIN_S = 10.0
"""Maximum seconds for which a client may be in no namespace, and for an upgrade to a WebSocket."""

PACKETS_PER_S, PACKETS_AT_ONCE = 50, 200
"""Limits of packets of all kinds from one client, against floods of those that are no events."""

POLICY_VIOLATION, NORMAL = 1008, 1000
"""Close codes. Source: RFC 6455, 7.4.1."""

NO_UPGRADE = "The upgrade needs 2probe and then 5, within 10 s and on one WebSocket."


class Engine(Protocol):
    """The members of gateway.web.socket_io.engine.RoomEngine that a socket uses."""

    ping_interval: float
    ping_timeout: float
    slow_readers: SlowReaders
    strangers: "Strangers[EngineSocket]"

    def close_soon(self, socket: "EngineSocket", reason: str) -> None: ...

    async def hear(self, socket: "EngineSocket", data: str) -> None:
        """Take one packet of socket.io. Raises BadPacket."""
        ...

    async def closed(self, socket: "EngineSocket") -> None: ...


class EngineSocket(AsyncSocket):  # type: ignore[misc]  # the library has no types
    """Attributes:
    scope: the ASGI scope of the handshake.
    arriving: its POST.
    """

    sid: str
    queue: asyncio.Queue[Packet | None]
    connected: bool
    upgraded: bool
    upgrading: bool

    def __init__(self, server: Engine, sid: str, scope: Scope) -> None:
        super().__init__(server, sid)
        self.scope = scope
        self._engine = server
        self._loop = asyncio.get_running_loop()
        self._packets = Bucket(PACKETS_PER_S, PACKETS_AT_ONCE, time.monotonic)
        self._connection: MessageConnection | None = None
        self._writer: RoomWriter | None = None
        self._send: Send | None = None
        self._polls = PollQueue(self.queue, self._cut)
        self._pinged = self._hears = False
        self.arriving = ArrivingPost()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._admission: asyncio.TimerHandle | None = None
        self.wait_for_admission()

    @property
    def is_over(self) -> bool:
        return bool(self.closing or self.closed)

    @property
    def max_post_bytes(self) -> int:
        """Maximum size of its next POST. That of a client in no namespace has its key and no more."""
        return MAX_PACKET_BYTES if self._admission is None else SMALL_BYTES

    def wait_for_admission(self) -> None:
        """Close the connection unless `admitted` is called soon."""
        self._engine.strangers.add(self)
        late = f"No namespace was joined within {ADMITTED_WITHIN_S:g} s."
        self._admission = self._loop.call_later(ADMITTED_WITHIN_S, self._engine.close_soon, self, late)

    def admitted(self) -> None:
        self._engine.strangers.discard(self)
        if self._admission is not None:
            self._admission.cancel()
            self._admission = None
        if self._connection is not None and not self.closing:
            self._connection.admit()

    # Writing

    def write(self, message: bytes) -> None:
        """Send a packet of Engine.IO that holds one of socket.io. Does not block and does not raise."""
        if self._writer is not None:
            self._writer.write(message)
        elif not self.is_over:
            self._polls.put(Packet(MESSAGE, message[1:].decode()))

    async def send(self, packet: Packet) -> None:
        """Send a packet of Engine.IO."""
        self.put(packet)

    def put(self, packet: Packet) -> None:
        if self._writer is not None:
            self._writer.write(packet.encode().encode())
        elif not self.closed:
            self._polls.put(packet)

    async def begin_catching_up(self) -> None:
        """See gateway.rooms.participant.Outlet."""
        await (self._writer or self._polls).begin_catching_up()

    def end_catching_up(self) -> None:
        self._polls.end_catching_up()
        if self._writer is not None:
            self._writer.end_catching_up()

    def connection_writable(self) -> None:
        if self._writer is not None:
            self._writer.connection_writable()

    connection_lost = connection_writable

    async def poll(self) -> list[Packet]:
        packets: list[Packet] = await super().poll()
        self._polls.emptied()
        return packets

    # Reading

    async def take_post(self, body: str) -> None:
        """Take the packets of a POST. Raises BadPacket, LimitExceeded."""
        for text in packets_of(body):
            if self.is_over:
                break
            await self.take(text)

    async def take(self, text: str) -> None:
        """Take one packet. Raises BadPacket, LimitExceeded."""
        if not self._packets.take():
            raise LimitExceeded("Far too many packets: the connection is closed.")
        kind, data = text[:1], text[1:]
        if kind == str(MESSAGE):
            await self._hear(data)
        elif kind == str(PONG):
            self._ponged()
        elif kind == str(CLOSE):
            self._engine.close_soon(self, "")
        elif kind == str(UPGRADE):
            self.put(Packet(NOOP))
        else:
            raise BadPacket("That is no packet of a client of Engine.IO 4.")

    async def _hear(self, data: str) -> None:
        """Take a packet of socket.io: one after the other, as a Participant needs it."""
        if self._hears:
            raise BadPacket("The POST before this one is not answered yet.")
        self._hears = True
        try:
            await self._engine.hear(self, data)
        finally:
            self._hears = False

    async def _upgrade_websocket(self, environ: Mapping[str, Any]) -> str:
        """Serve the client's WebSocket until it is closed. Return an empty response for python-engineio."""
        receive, send, scope = environ["asgi.receive"], environ["asgi.send"], environ["asgi.scope"]
        self._connection = connection = socket_of(scope)
        await send({"type": "websocket.accept"})
        connection.accept_messages_of(MAX_PACKET_BYTES)
        if self._admission is None:  # it joined a namespace by polls
            connection.admit()
        if self.connected and not await self._is_probed(receive, send):
            with suppress(OSError, RuntimeError):  # the client has closed it
                await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": NO_UPGRADE})
            return ""
        self.connected = self.upgraded = True
        self._send = send
        self._writer = RoomWriter(connection, self._engine.slow_readers)
        for packet in self._polls.take():
            if packet.packet_type != NOOP:
                self._writer.write(packet.encode().encode())
        connection.watch(self)
        try:
            await self._read(receive)
        finally:
            connection.watch(None)
            await self.close(wait=False, abort=True, reason="transport close")
        return ""

    async def _is_probed(self, receive: Receive, send: Send) -> bool:
        """Answer the probe of an upgrade from polling. Return False if the client does not upgrade.

        Source: Engine.IO protocol 4, Upgrade.
        """
        if self.upgrading:
            return False
        self.upgrading = True
        try:
            async with asyncio.timeout(ADMITTED_WITHIN_S):
                if (await receive()).get("text") != "2probe":
                    return False
                await send({"type": "websocket.send", "text": "3probe"})
                self.put(Packet(NOOP))  # ends the poll that waits
                return (await receive()).get("text") == "5" and not self.is_over
        except TimeoutError:
            return False
        finally:
            self.upgrading = False

    async def _read(self, receive: Receive) -> None:
        while (message := await receive())["type"] == "websocket.receive" and not self.is_over:
            text = message.get("text")
            try:
                if text is None:
                    raise BadPacket("Binary packets are not supported.")
                await self.take(text)
            except GatewayError as error:
                await self.close(wait=False, why=str(error))
            except Exception:
                log.exception("a packet of socket.io failed with an unexpected error")
                await self.close(wait=False, why="Internal error of the gateway: see its log.")

    # Heartbeats and the end

    def schedule_ping(self) -> None:
        self._heartbeat = self._loop.call_later(self._engine.ping_interval, self._ping)

    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None, *, why: str = ""
    ) -> None:
        """Close the connection.

        Args:
            wait: of python-engineio; ignored.
            abort: True if the client has closed it.
            reason: of python-engineio; ignored.
            why: for the client; empty if it did nothing wrong.
        """
        if self.is_over:
            return
        self.closing = True
        self.admitted()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        self.arriving.end()
        self.connection_writable()
        await self._engine.closed(self)
        if not abort:
            self.put(Packet(CLOSE))
        self.closed = True
        self.queue.put_nowait(None)
        self._polls.close()
        if self._send is not None and not abort:
            code = POLICY_VIOLATION if why else NORMAL
            with suppress(OSError, RuntimeError):  # the client has closed it meanwhile
                await self._send({"type": "websocket.close", "code": code, "reason": why[:120]})

    def _ping(self) -> None:
        self._pinged = True
        self.put(Packet(PING))
        timeout_s = self._engine.ping_timeout
        self._heartbeat = self._loop.call_later(
            timeout_s, self._engine.close_soon, self, "No answer to a ping."
        )

    def _ponged(self) -> None:
        if self._pinged and self._heartbeat is not None and not self.is_over:
            self._pinged = False
            self._heartbeat.cancel()
            self.schedule_ping()

    def _cut(self) -> None:
        self._engine.slow_readers.cut += 1
        self._engine.close_soon(self, "The client reads too slowly.")
