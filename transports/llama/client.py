"""HTTP/1.1 to a model server: one connection per request, nothing between a network read and its reader."""

import asyncio
import os
import socket
import ssl
from typing import Self, cast

import httptools
import httpx

from gateway.contract.open_files import descriptor_limit

MAX_HEAD_BYTES = 64 * 1024  # and of whatever else comes in a row without being body
MAX_UNREAD_BYTES = 64 * 1024  # beyond it the socket is left unread, so that the server feels it

KEPT_DESCRIPTORS = 16
"""The last free ones are left to the database, which opens files while it writes."""


class AsyncioTransport(httpx.AsyncBaseTransport):
    """An httpx transport without a pool: llama.cpp closes after every stream, whatever its Keep-Alive says.

    Obeys `connect`, `read` and `write` of the request's `timeout` extension, in seconds (absent or None:
    for ever). Request bodies are sent in one piece; proxies and HTTP/2 are not spoken. Raises
    ConnectError, ConnectTimeout, WriteTimeout, WriteError when the connection ends before the request is
    sent whole, ReadTimeout, ReadError when it ends before the answer does, RemoteProtocolError for an
    answer that is not HTTP, and PoolTimeout when this process has too many files open to connect.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeouts = request.extensions.get("timeout", {})
        message = _head(request) + await request.aread()
        exchange = await self._connect(request.url, timeouts.get("connect"), timeouts.get("read"))
        try:
            await exchange.send(message, timeouts.get("write"))
            return await exchange.response()
        except BaseException:
            await exchange.aclose()
            raise

    async def _connect(self, url: httpx.URL, connect_s: float | None, read_s: float | None) -> "HttpExchange":
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"'{url.scheme}' is not a scheme of HTTP")
        secure = url.scheme == "https"
        loop = asyncio.get_running_loop()
        try:
            if secure and self._ssl_context is None:
                self._ssl_context = httpx.create_ssl_context()
            async with asyncio.timeout(connect_s):
                # TCP_NODELAY is set by asyncio and uvloop themselves
                transport, exchange = await loop.create_connection(
                    lambda: HttpExchange(loop, read_s),
                    url.host,
                    url.port or (443 if secure else 80),
                    ssl=self._ssl_context if secure else None,
                )
        except TimeoutError as exc:
            raise httpx.ConnectTimeout(
                f"no connection to {url.netloc.decode()} within {connect_s:g} s"
            ) from exc
        except OSError as exc:
            if _no_descriptor_free():
                raise httpx.PoolTimeout("too many open files") from exc
            raise httpx.ConnectError(f"no connection to {url.netloc.decode()}: {_reason(exc)}") from exc
        if transport.get_extra_info("socket").fileno() >= descriptor_limit() - KEPT_DESCRIPTORS:
            await exchange.aclose()
            raise httpx.PoolTimeout("too many open files")
        return exchange


def _no_descriptor_free() -> bool:
    """Asked after a failure, because a resolver's error does not say that it was this."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return True
    return False


def _reason(error: OSError) -> str:
    """In plain words; asyncio's own text repeats the address."""
    if isinstance(error, socket.gaierror) or not error.errno or error.errno < 0:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % (name, value) for name, value in request.headers.raw]
    if "connection" not in request.headers:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b""])


class HttpExchange(asyncio.Protocol, httpx.AsyncByteStream):
    """One connection, one request, one response, and that response's body.

    Everything that arrives before the reader wakes up is one item. What came before an error is read
    before the error is raised.
    """

    __slots__ = (
        "_delimited",
        "_ended",
        "_error",
        "_head_bytes",
        "_head_complete",
        "_headers",
        "_loop",
        "_parser",
        "_parts",
        "_read_s",
        "_status",
        "_timer",
        "_transport",
        "_unread_bytes",
        "_waiter",
        "_waiting_since",
        "_writable",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, read_s: float | None) -> None:
        self._loop = loop
        self._read_s = read_s
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._head_complete = False
        self._delimited = False  # by a length or in chunks; else the body ends with the connection
        self._parts: list[bytes] = []
        self._unread_bytes = 0
        self._ended = False
        self._error: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waiting_since = 0.0
        self._writable: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # What the reader calls.

    async def send(self, message: bytes, write_s: float | None) -> None:
        if self._transport is None:
            return  # lost already; response() says why
        self._transport.write(message)
        if self._writable is not None:
            try:
                async with asyncio.timeout(write_s):
                    await self._writable
            except TimeoutError as exc:
                raise httpx.WriteTimeout(f"the request was not taken within {write_s} s") from exc

    async def response(self) -> httpx.Response:
        """Wait for the head; the response's stream is this exchange."""
        if self._read_s is not None and not self._ended:
            self._timer = self._loop.call_later(self._read_s, self._check_silence, self._read_s)
        while not self._head_complete:
            await self._news()
        return httpx.Response(self._status, headers=self._headers, stream=self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._parts:
            await self._news()
        parts = self._parts
        self._parts = []
        self._head_bytes = 0
        if self._unread_bytes > MAX_UNREAD_BYTES and self._transport is not None:
            self._transport.resume_reading()
        self._unread_bytes = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def aclose(self) -> None:
        """Cut the connection now; what the server still wants to say is not heard."""
        self._end(httpx.ReadError("the answer was closed by its reader"))

    async def _news(self) -> None:
        """Wait for the next bytes, whatever they are; raise what ended the exchange if there are none."""
        if self._ended:
            raise self._error or StopAsyncIteration
        self._waiter = self._loop.create_future()
        self._waiting_since = self._loop.time()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._end(httpx.RemoteProtocolError(f"the answer is not HTTP/1.1: {exc}"))
            return
        if not self._parts:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._end(httpx.RemoteProtocolError(f"the answer's head exceeds {MAX_HEAD_BYTES} bytes"))
        if self._unread_bytes > MAX_UNREAD_BYTES and self._transport is not None:
            self._transport.pause_reading()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

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
        """One timer serves all reads: when it fires early for the present wait, it is set again."""
        now = self._loop.time()
        since = self._waiting_since if self._waiter is not None else now
        if now >= since + read_s:
            self._end(httpx.ReadTimeout(f"nothing was heard for {read_s} s"))
        else:
            self._timer = self._loop.call_at(since + read_s, self._check_silence, read_s)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_complete:
            return  # a trailer
        self._headers.append((name, value))
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
            self._delimited = True

    def on_headers_complete(self) -> None:
        if self._parser is None:
            return
        self._status = self._parser.get_status_code()
        if self._status < 200:
            self._headers.clear()
        else:
            self._head_complete = True
            self.resume_writing()  # a server that answers early may never read the rest

    def on_body(self, body: bytes) -> None:
        if not self._ended:
            self._parts.append(body)
            self._unread_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._head_complete:
            self._end(None)

    def _end(self, error: httpx.TransportError | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._error = error
        self._parser = None
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self.resume_writing()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
