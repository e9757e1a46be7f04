"""One HTTP/1.1 exchange with a model server, from the request to the end of the response."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import httpx

from transports.llama.response_parser import PARSER_ERRORS, Parser, response_parser

MAX_HEAD_BYTES = 64 * 1024  # limit of the head, and of other reads in a row without body
KEPT_HEADERS = (b"content-type", b"content-encoding", b"retry-after")
MAX_UNREAD_BYTES = 64 * 1024  # beyond it the socket is not read, so that the server must wait
FINISH_S = 1.0  # after it, a response whose reader has finished is not read further

Receive = Callable[[bytes], Awaitable[None] | None]
"""Called within a network read with its bytes. A returned awaitable is awaited before the next read."""


class HttpExchange(asyncio.Protocol):
    """One connection with one request and its response.

    status: of the response; 0 until its head has arrived.
    keep: gets the connection if another request may be sent on it; None closes it.

    Args:
        read_s: longest silence before the head and between two reads of the body, in seconds; None: no limit.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_delimited",
        "_ended",
        "_error",
        "_finished",
        "_head_complete",
        "_headers",
        "_held_bytes",
        "_is_whole",
        "_loop",
        "_parser",
        "_parts",
        "_read_s",
        "_receive",
        "_timer",
        "_transport",
        "_waiter",
        "_waiting_since",
        "_writable",
        "keep",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, read_s: float | None) -> None:
        self._loop = loop
        self._read_s = read_s
        self._parser: Parser | None = response_parser(self)
        self._transport: asyncio.Transport | None = None
        self.status = 0
        self.keep: Callable[[asyncio.Transport], None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._held_bytes = 0  # read since the latest push
        self._head_complete = False
        self._delimited = False  # has a length or chunks; else the body ends with the connection
        self._parts: list[bytes] = []
        self._ended = False
        self._is_whole = False  # complete, and the server keeps the connection
        self._finished = False
        self._error: Exception | None = None
        self._receive: Receive | None = None
        self._busy: Awaitable[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waiting_since = 0.0
        self._writable: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # Called by the reader.

    async def ask(self, message: bytes, write_s: float | None) -> None:
        """Send the request and wait for the response's head.

        Args:
            message: head and body.
            write_s: time in seconds that the server gets to read it; None for no limit.
        """
        if self._transport is not None:
            self._transport.write(message)
            if self._writable is not None:
                try:
                    async with asyncio.timeout(write_s):
                        await self._writable
                except TimeoutError as exc:
                    raise httpx.WriteTimeout(f"the request was not taken within {write_s} s") from exc
        if self._read_s is not None and not self._ended:
            self._timer = self._loop.call_later(self._read_s, self._check_silence, self._read_s)
        while not self._head_complete:
            if self._ended:
                raise self._error or httpx.ReadError("the answer was closed by its reader")
            await self._news()

    @property
    def unanswered(self) -> bool:
        """True until the first byte of the response."""
        return not self._head_complete and not self._held_bytes

    def header(self, name: bytes) -> str | None:
        """Return a response header, several of that name joined with commas. name: one of KEPT_HEADERS."""
        return ",".join(value.decode("latin-1") for kept, value in self._headers if kept == name) or None

    async def push(self, receive: Receive) -> None:
        """Call `receive` with the body's bytes at every network read; return when the body has ended.

        Bytes that arrived before this call are pushed first. Raises the connection's error, after all bytes
        that arrived before it, and every error of `receive`. Returns at once after `close` and `finish`.
        """
        self._receive = receive
        self._deliver()
        if self._busy is None:
            self._read_on()  # unread bytes may have paused it
        while True:
            if self._busy is not None:
                busy, self._busy = self._busy, None
                await busy
                self._deliver()
                if self._busy is None:
                    self._read_on()
            elif self._ended or self._finished:
                break
            else:
                await self._news()
        if self._error is not None:
            raise self._error

    def close(self, *, finishing: bool = False) -> None:
        """Close the connection now, unless `finish` was called; `push` returns as if the body had ended.
        finishing: close it only if `finish` was called."""
        if self._finished is finishing:
            self._receive = None
            self._end(None)

    def finish(self) -> None:
        """End `push`; read the rest of the response only so that the connection can be kept."""
        if self.keep is None or self._ended:
            self.close()
            return
        self._receive = None
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(FINISH_S, self._end, None)
        self._wake()

    def _news(self) -> asyncio.Future[None]:
        """Return a future that is done at the next read that is not pushed, or at the end."""
        self._waiter = self._loop.create_future()
        self._waiting_since = self._loop.time()
        return self._waiter

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except PARSER_ERRORS as exc:
            self._end(httpx.RemoteProtocolError(f"the answer is not HTTP/1.1: {exc}"))
        if self._ended:
            self._leave_connection()
        if self._receive is not None:
            self._waiting_since = self._loop.time()
            if self._parts:
                self._deliver()
                return
        self._held_bytes += len(data)
        if not self._parts:
            if self._held_bytes > MAX_HEAD_BYTES:
                self._end(httpx.RemoteProtocolError(f"the answer's head exceeds {MAX_HEAD_BYTES} bytes"))
        elif self._held_bytes > MAX_UNREAD_BYTES and self._transport is not None:
            self._transport.pause_reading()
        if self._receive is None:
            self._wake()

    def _deliver(self) -> None:
        """Push the bytes that have arrived, unless the receiver is still busy with earlier ones."""
        parts, receive = self._parts, self._receive
        if not parts or self._busy is not None or receive is None:
            return
        self._parts = []
        self._held_bytes = 0
        try:
            busy = receive(b"".join(parts))
        except Exception as error:  # noqa: BLE001 - the event loop called this: `push` raises the error
            self._receive = None
            self._error = error
            self._end(None)
            return
        if busy is not None:
            self._busy = busy
            if self._transport is not None:
                self._transport.pause_reading()
            self._wake()

    def _read_on(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._writable is not None and not self._writable.done():
            self._end(httpx.WriteError("the connection broke before the request was sent whole"))
        elif exc is not None:
            self._end(httpx.ReadError(f"the connection broke: {exc}"))
        elif not self._head_complete:
            self._end(httpx.ReadError("the connection was closed before the answer"))
        elif self._delimited:
            self._end(httpx.ReadError("the connection was closed in the middle of the answer"))
        else:
            self._end(None)

    def _check_silence(self, read_s: float) -> None:
        """Fail after a silence of read_s. One timer serves all reads: rearm it if the wait began later."""
        now = self._loop.time()
        is_waiting = self._waiter is not None and not self._waiter.done()
        since = self._waiting_since if is_waiting else now
        if now >= since + read_s:
            self._end(httpx.ReadTimeout(f"nothing was heard for {read_s} s"))
        else:
            self._timer = self._loop.call_at(since + read_s, self._check_silence, read_s)

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._is_whole = False  # after a complete response: nobody asked for another

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_complete:
            return  # a trailer
        name = name.lower()
        if name in KEPT_HEADERS:
            self._headers.append((name, value))
        elif name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
            self._delimited = True

    def on_headers_complete(self) -> None:
        if self._parser is None:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._headers.clear()
        else:
            self._head_complete = True
            self.resume_writing()  # a server that answers early may never read the rest

    def on_body(self, body: bytes) -> None:
        if not (self._ended or self._finished):
            self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._head_complete and self._parser is not None:
            self._is_whole = self._delimited and self._parser.should_keep_alive()
            self._end(None)

    def _end(self, error: httpx.TransportError | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._error = error or self._error
        self._parser = None
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_whole:  # else more bytes may follow in the same read
            self._leave_connection()
        self.resume_writing()
        self._wake()

    def _leave_connection(self) -> None:
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._is_whole and self.keep is not None and not transport.get_write_buffer_size():
            transport.resume_reading()
            self.keep(transport)
        else:
            transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
