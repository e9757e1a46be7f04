"""The requests to one model server, written as bytes: objects of an HTTP library cost 60 us a request."""

from collections.abc import Awaitable, Callable

import httpx

from gateway.contract.errors import ProtocolViolation
from transports.llama.connector import Connector
from transports.llama.http_exchange import HttpExchange

Connect = Callable[[httpx.URL, float | None, float | None], Awaitable[HttpExchange]]
"""Connects to a URL's server, within so many seconds; see Connector."""


class ModelServerClient:
    """HTTP/1.1 without a pool; proxies and HTTP/2 are not spoken.

    `get` and `post` return when the answer's head has come. They raise what `connect` raises, WriteTimeout,
    WriteError when the connection ends before the request is sent whole, ReadTimeout, ReadError when it ends
    before the answer does, and RemoteProtocolError for an answer that is not HTTP.

    Args:
        root: the server's URL, perhaps with a path before the API's own.
        api_key: visible ASCII.
        connect_s: until a connection stands.
        idle_s: how long the server may take nothing of a request, or say nothing.
    """

    def __init__(
        self,
        root: str,
        *,
        api_key: str | None = None,
        connect_s: float | None = None,
        idle_s: float | None = None,
        connect: Connect | None = None,
    ) -> None:
        self._url = url = httpx.URL(root)
        self._connect = Connector() if connect is None else connect
        self._connect_s = connect_s
        self._idle_s = idle_s
        self._prefix = url.raw_path.rstrip(b"/")
        self._headers = b"Host: %b\r\nUser-Agent: sluice\r\nConnection: close\r\n" % url.netloc
        if api_key is not None:
            self._headers += b"Authorization: Bearer %b\r\n" % api_key.encode("ascii")

    async def get(self, path: bytes) -> HttpExchange:
        return await self._ask(b"GET %b%b HTTP/1.1\r\n%b\r\n" % (self._prefix, path, self._headers))

    async def post(self, path: bytes, body: bytes, trace: str | None = None) -> HttpExchange:
        """Send JSON.

        trace: the value of a `traceparent` header; left out where it is no header's value, since workers get
        it from others.
        """
        traced = b""
        if trace is not None and trace.isascii() and trace.isprintable():
            traced = b"traceparent: %b\r\n" % trace.encode("ascii")
        head = b"POST %b%b HTTP/1.1\r\n%b%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return await self._ask(head % (self._prefix, path, self._headers, traced, len(body)) + body)

    async def _ask(self, message: bytes) -> HttpExchange:
        exchange = await self._connect(self._url, self._connect_s, self._idle_s)
        try:
            await exchange.ask(message, self._idle_s)
        except BaseException:
            exchange.close()
            raise
        return exchange


async def whole_body(exchange: HttpExchange, max_bytes: int) -> bytes:
    """The answer's body; raises ProtocolViolation beyond `max_bytes`."""
    body = bytearray()

    def take(received: bytes) -> None:
        body.extend(received)
        if len(body) > max_bytes:
            raise ProtocolViolation(f"the model server's answer exceeds {max_bytes} bytes")

    await exchange.push(take)
    return bytes(body)
