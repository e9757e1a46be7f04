"""A client's WebSocket: writes without awaiting, and disconnects clients that do not read.

It extends uvicorn's protocol on the library websockets. uvicorn buffers what the client sends in one message,
and stops reading until the application has taken it.
"""

import asyncio
import struct
from asyncio.transports import BaseTransport
from collections.abc import Sequence
from typing import Any, cast

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from gateway.contract.errors import BadRequest
from gateway.web.http.asgi import ConnectionWatcher
from gateway.web.http.first_messages import FRAGMENT_BYTES, FirstMessages
from gateway.web.http.lingering_close import MAX_DROPPED_BYTES, MAX_S, LingeringClose
from gateway.web.http.message_connection import SOCKET
from gateway.web.http.parsing_turns import MAX_PARTS, ParsingTurns
from gateway.web.http.problems import raw_problem
from gateway.web.http.slow_readers import SendDeadline, SlowReaders, drop_unsent
from gateway.web.http.websockets_internals import limit_messages

MAX_FRAGMENTS = 4096
"""Maximum number of frames of one message: empty ones have no size, but are kept."""

MAX_PINGS, PINGS_S = 200, 10.0
"""A client that sends more pings and pongs in so many seconds is disconnected."""

_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013  # RFC 6455, 7.4.1; IANA's registry of close codes
_TEXT = 0x81


def frame_head(size: int) -> bytes:
    """Return the head of a whole text frame from a server. Source: RFC 6455, 5.2."""
    if size < 126:
        return bytes((_TEXT, size))
    return struct.pack("!BBH", _TEXT, 126, size) if size < 65536 else struct.pack("!BBQ", _TEXT, 127, size)


class Frames:
    """Makes text frames. The one made last is kept: a room's event is written to many clients in turn."""

    def __init__(self) -> None:
        self._body: bytes | None = None
        self._frame = b""

    def of(self, body: bytes) -> bytes:
        """Return the frame of a message in UTF-8."""
        if body is not self._body:
            self._body, self._frame = body, frame_head(len(body)) + body
        return self._frame


_frames = Frames()


class SocketConnection(ParsingTurns, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket with a SocketWriter in the scope.

    slow_readers: the limit for clients that read nothing of what is sent.
    first_messages: the limit for clients without a valid key or ticket.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        slow_readers: SlowReaders | None = None,
        first_messages: FirstMessages | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._slow_readers = slow_readers or SlowReaders(20)
        self._first_messages = first_messages
        self._lingering: LingeringClose | None = None
        self._pings, self._pings_since = 0, 0.0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self._writer = SocketWriter(self, cast(asyncio.Transport, transport), self._slow_readers)

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None:
            self._lingering.drop(data)
        elif not self.handshake_initiated:
            self._begin(data)
        elif self._takes(len(data)):
            super().data_received(data)

    def _takes(self, more_bytes: int) -> bool:
        """Count what a stranger sends. Disconnect the client and return False if it is too much."""
        if self._first_messages is None or self._first_messages.takes(self, more_bytes):
            return True
        self._refuse(_TRY_AGAIN_LATER, "Too much is sent by clients without a valid key.")
        return False

    def _begin(self, data: bytes) -> None:
        """Take the whole handshake. Answer it if the library cannot parse it, since uvicorn does not."""
        # As Java's HttpClient sends it. The library refuses it; uvicorn has written the names in lower case.
        super().parse(data.replace(b"\r\ncontent-length: 0\r\n", b"\r\n", 1))
        if not self.handshake_initiated and not self.transport.is_closing():
            error = BadRequest("The handshake must have no body, and no line of more than 8 KiB.")
            self.transport.write(raw_problem(error))
            self.transport.close()

    def parse(self, piece: bytes) -> None:
        if self._is_open:
            super().parse(piece)
            if self.close_sent and self.parts >= MAX_PARTS and self._is_open:
                self._linger()  # a flood behind our close frame: its own one would come too late

    @property
    def _is_open(self) -> bool:
        return self._lingering is None and not self.transport.is_closing()

    async def receive(self) -> Any:
        if self._first_messages is not None and self.queue.empty():
            begun = sum(map(len, self.frames)) + len(self.frames) * FRAGMENT_BYTES
            self._first_messages.holds(self, begun + len(self.conn.reader.buffer) + self.unparsed_bytes)
        message = await super().receive()
        self.hold()  # uvicorn has resumed reading
        return message

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writer.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writer.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._lingering is not None:
            self._lingering.cancel()
        self._writer.lose()
        self.admit()
        self._free()

    def _free(self) -> None:
        """Drop all that refers to this object, as errors' tracebacks do: cycles are collected seldom."""
        self._lingering = None
        self.conn.parser.close()
        if self.conn.handshake_exc is not None:  # the request has it too
            self.conn.handshake_exc.__traceback__ = self.conn.handshake_exc.__context__ = None
        self.conn.handshake_exc = self.conn.parser_exc = None

    def handle_parser_exception(self) -> None:
        """Send the close frame for a frame that is not valid or too large. Drop what the client still sends.

        uvicorn closes the connection at once: a client that is still sending gets a reset, and no reason.
        """
        said = self.conn.close_sent
        if said is None or self.transport.is_closing():
            self.transport.close()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": said.code, "reason": said.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._linger()

    def _linger(self) -> None:
        self._lingering = LingeringClose(self.transport, self.loop, MAX_DROPPED_BYTES, self.transport.close)
        if self.close_timer is None:  # without one, uvicorn closes when the application has returned
            self.close_timer = self.loop.call_later(MAX_S, self.transport.abort)
        self.resume_reading()

    def _refuse(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def handle_ping(self) -> None:
        if self._is_calm():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._is_calm():
            super().handle_pong(event)

    def _is_calm(self) -> bool:
        """Count a ping or pong. Disconnect the client and return False if they are too many."""
        if self._lingering is not None:
            return False
        self.parts += 1
        now = self.loop.time()
        if now >= self._pings_since + PINGS_S:
            self._pings, self._pings_since = 0, now
        self._pings += 1
        if self._pings > MAX_PINGS:
            self._refuse(_POLICY_VIOLATION, f"More than {MAX_PINGS} pings in {PINGS_S:g} s.")
            return False
        return True

    def send_receive_event_to_app(self) -> None:
        self.parts += 1
        super().send_receive_event_to_app()

    def handle_cont(self, event: Frame) -> None:
        self.parts += 1
        if len(self.frames) >= MAX_FRAGMENTS:
            self.transport.abort()
        elif self._lingering is None and self._takes(FRAGMENT_BYTES):
            super().handle_cont(event)

    def admit(self) -> None:
        """Count no bytes of this client any more."""
        if self._first_messages is not None:
            self._first_messages.forget(self)
            self._first_messages = None

    def forget_handshake(self) -> None:
        """Free its headers: uvicorn keeps them, 2 KiB of a browser, and needs them until it has answered."""
        if self.handshake_complete and hasattr(self, "request"):
            del self.request, self.response

    async def run_asgi(self) -> None:
        scope: Any = self.scope
        scope["extensions"][SOCKET] = self._writer
        await super().run_asgi()


class SocketWriter:
    """Implements gateway.web.http.message_connection.MessageConnection."""

    __slots__ = ("_connection", "_deadline", "_lost", "_transport", "_watcher", "writable")

    def __init__(
        self, connection: "SocketConnection", transport: asyncio.Transport, slow_readers: SlowReaders
    ) -> None:
        self._connection: SocketConnection | None = connection
        self._transport = transport
        self._deadline = SendDeadline(transport, connection.loop, slow_readers)
        self._watcher: ConnectionWatcher | None = None
        self._lost = False
        self.writable = True

    def write_messages(self, messages: Sequence[bytes]) -> None:
        if self._connection is None or self._connection.close_sent or self._transport.is_closing():
            return
        if len(messages) == 1:
            self._transport.write(_frames.of(messages[0]))
        else:
            parts = [part for body in messages for part in (frame_head(len(body)), body)]
            self._transport.write(b"".join(parts))

    @property
    def waiting_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        if not self._transport.is_closing():
            drop_unsent(self._transport)

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if watcher is not None and self._lost:
            watcher.connection_lost()

    def accept_messages_of(self, max_bytes: int) -> None:
        if self._connection is not None:
            limit_messages(self._connection.conn, max_bytes)
            self._connection.forget_handshake()

    def admit(self) -> None:
        if self._connection is not None:
            self._connection.admit()

    def pause(self) -> None:
        self.writable = False
        self._deadline.begin()

    def resume(self) -> None:
        self.writable = True
        self._deadline.end()
        if self._watcher is not None:
            self._watcher.connection_writable()

    def lose(self) -> None:
        self._lost = True
        self._connection = None  # else a cycle
        self._deadline.end()
        if self._watcher is not None:
            self._watcher.connection_lost()
