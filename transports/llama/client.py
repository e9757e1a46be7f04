"""HTTP/1.1 to a model server: one connection per request, nothing between a network read and its reader."""

import asyncio
import os
import socket
import ssl

import httpx

from gateway.contract.open_files import descriptor_limit
from transports.llama.http_exchange import HttpExchange

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

    async def _connect(self, url: httpx.URL, connect_s: float | None, read_s: float | None) -> HttpExchange:
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
