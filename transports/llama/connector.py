"""TCP and TLS connections to a model server, one for each request."""

import asyncio
import os
import socket
import ssl

import httpx

from gateway.contract.light_timeout import LightTimeout
from gateway.contract.open_files import descriptor_limit
from transports.llama.http_exchange import HttpExchange

KEPT_DESCRIPTORS = 16
"""File descriptors left free for the database, which opens files while it writes."""


class Connector:
    """Opens connections without a pool: llama.cpp closes after every stream, despite its Keep-Alive."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    async def __call__(self, url: httpx.URL, connect_s: float | None, read_s: float | None) -> HttpExchange:
        """Connect to the server of `url`.

        Raises ConnectError; ConnectTimeout; PoolTimeout if this process has too many files open.

        Args:
            url: http or https.
            connect_s: deadline in seconds; None for no limit.
            read_s: longest silence of the server in the exchange, in seconds; None for no limit.
        """
        secure = url.scheme == "https"
        loop = asyncio.get_running_loop()
        try:
            if secure and self._ssl_context is None:
                self._ssl_context = httpx.create_ssl_context()
            with LightTimeout(connect_s):
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
            exchange.close()
            raise httpx.PoolTimeout("too many open files")
        return exchange


def _no_descriptor_free() -> bool:
    """True if no file can be opened: a resolver's error does not say that this was its cause."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return True
    return False


def _reason(error: OSError) -> str:
    """Return the error's reason without the address, which asyncio's own text repeats."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):  # its number is none of the system's
        return f"it does not speak TLS as expected: {error.reason or error}"
    if isinstance(error, socket.gaierror) or not error.errno or error.errno < 0:
        return error.strerror or str(error) or type(error).__name__
    return os.strerror(error.errno)
