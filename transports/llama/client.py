"""Sends requests to one model server, written as bytes: objects of an HTTP library cost 60 us a request."""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakSet

import httpx

from gateway.contract.errors import ProtocolViolation
from transports.llama.connector import Connector
from transports.llama.content_coding import decompressing
from transports.llama.http_exchange import HttpExchange
from transports.llama.kept_connections import KeptConnections

Connect = Callable[[httpx.URL, float | None, float | None], Awaitable[HttpExchange]]
"""Connects to a URL's server. Arguments: url, connect_s and read_s of Connector.__call__."""


class ModelServerClient:
    """HTTP/1.1 client without proxies or HTTP/2. `post` keeps connections; the others always open one,
    because `get` checks if the server can be reached.

    All return when the response's head has arrived. They raise the errors of `connect`;
    WriteTimeout; WriteError if the connection ends before the whole request is sent; ReadTimeout; ReadError
    if it ends before the response does; and RemoteProtocolError if the response is not HTTP/1.1.

    Args:
        root: the server's URL, with an optional path before the API's own.
        api_key: visible ASCII.
        connect_s: deadline for connecting, in seconds.
        idle_s: longest time in seconds in which the server reads nothing of a request, or sends nothing.
    """

    def __init__(
        self,
        root: str,
        *,
        api_key: str | None = None,
        connect_s: float | None = None,
        idle_s: float | None = None,
        connect: Connect | None = None,
        kept: KeptConnections | None = None,
    ) -> None:
        self._url = url = httpx.URL(root)
        self._connect = Connector() if connect is None else connect
        self._connect_s = connect_s
        self._idle_s = idle_s
        self._prefix = url.raw_path.rstrip(b"/")
        self._kept = KeptConnections() if kept is None else kept
        self._may_finish: WeakSet[HttpExchange] = WeakSet()
        self._headers = b"Host: %b\r\nUser-Agent: sluice\r\n" % url.netloc
        if api_key is not None:
            self._headers += b"Authorization: Bearer %b\r\n" % api_key.encode("ascii")

    async def get(self, path: bytes) -> HttpExchange:
        return await self._on_new_connection(b"GET", path)

    async def delete(self, path: bytes) -> HttpExchange:
        return await self._on_new_connection(b"DELETE", path)

    async def post(
        self, path: bytes, body: bytes, trace: str | None = None, headers: bytes = b""
    ) -> HttpExchange:
        """Send JSON.

        Args:
            path: after the root's own path.
            body: JSON.
            trace: the value of the `traceparent` header. It is left out if it is not a valid header value,
                since workers get it from other programs.
            headers: further lines of the head.
        """
        traced = headers
        if trace is not None and trace.isascii() and trace.isprintable():
            traced += b"traceparent: %b\r\n" % trace.encode("ascii")
        closing = b"Connection: close\r\n" if self._kept.closing else b""
        head = b"POST %b%b HTTP/1.1\r\n%b%b%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        message = head % (self._prefix, path, self._headers, closing, traced, len(body)) + body
        kept = self._kept.take()
        if kept is None:
            return await self._ask_and_keep(await self._connected(), message)
        used = HttpExchange(asyncio.get_running_loop(), self._idle_s)
        used.connection_made(kept)
        kept.set_protocol(used)
        try:
            return await self._ask_and_keep(used, message)
        except (httpx.ReadError, httpx.WriteError) as lost:
            if not used.unanswered:
                raise
            # The server closed the connection at this moment, or this request has crashed it.
            self._kept.close()
            try:
                exchange = await self._connected()
            except httpx.TransportError:
                raise lost from None
            return await self._ask_and_keep(exchange, message)

    def close(self) -> None:
        """Close the connections that wait for a request, or for the end of a response that nobody reads."""
        self._kept.close()
        for exchange in self._may_finish:
            exchange.close(finishing=True)

    async def _connected(self) -> HttpExchange:
        return await self._connect(self._url, self._connect_s, self._idle_s)

    async def _on_new_connection(self, method: bytes, path: bytes) -> HttpExchange:
        head = b"%b %b%b HTTP/1.1\r\n%bConnection: close\r\n\r\n"
        message = head % (method, self._prefix, path, self._headers)
        return await self._ask(await self._connected(), message)

    async def _ask_and_keep(self, exchange: HttpExchange, message: bytes) -> HttpExchange:
        if not self._kept.closing:
            exchange.keep = self._kept.keep
            self._may_finish.add(exchange)
        return await self._ask(exchange, message)

    async def _ask(self, exchange: HttpExchange, message: bytes) -> HttpExchange:
        try:
            await exchange.ask(message, self._idle_s)
        except BaseException:
            exchange.close()
            raise
        return exchange


async def whole_body(exchange: HttpExchange, max_bytes: int) -> bytes:
    """Return the response's body; raises ProtocolViolation if it has more than `max_bytes`."""
    body = bytearray()

    def take(received: bytes) -> None:
        body.extend(received)
        if len(body) > max_bytes:
            raise ProtocolViolation(f"the model server's answer exceeds {max_bytes} bytes")

    await exchange.push(decompressing(exchange, take))
    return bytes(body)
