"""Connections to other gateways, one for each request, and requests by the gateway that they wait for."""

import socket
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import httpx

T = TypeVar("T")

CONNECT_S = 1.0
PROBE_S, PROBES = 5, 2
"""Seconds between two probes of a silent connection, and how many may get no answer before it is closed."""

LOST = (httpx.TransportError, OSError, AttributeError)
"""Errors of a connection that broke off. anyio asks a socket for its peer when the peer has closed it
already, and httpx passes that error on."""


# The network may drop a connection's packets without a word, and a whole reply is silent until its end.
_PROBED = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", PROBE_S),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", PROBE_S),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", (PROBES + 1) * PROBE_S * 1000),  # for what was sent
    )
    if hasattr(socket, name)  # macOS and Windows have fewer
]


class OwnerConnections:
    """silence_s: seconds without a byte after which a response is given up."""

    def __init__(self, silence_s: float) -> None:
        timeout = httpx.Timeout(silence_s, connect=CONNECT_S)
        self._extensions = {"timeout": timeout.as_dict()}
        # INTERNAL_URL is http. Without this, each transport would read the system's certificates.
        self._no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def request(self, method: str, url: str, **more: Any) -> httpx.Request:
        """more: as in httpx.Request."""
        return httpx.Request(method, url, extensions=self._extensions, **more)

    def open(self) -> httpx.AsyncHTTPTransport:
        """Return a connection for one request. A pool would examine all its connections at the begin and the
        end of each."""
        return httpx.AsyncHTTPTransport(verify=self._no_tls, trust_env=False, socket_options=_PROBED)


class ByOwner(Generic[T]):
    """Objects by the gateway that they wait for."""

    def __init__(self) -> None:
        self._noted: dict[str, set[T]] = {}

    @contextmanager
    def noted(self, owner: str, waiting: T) -> Iterator[None]:
        """Have the object here during the block."""
        noted = self._noted.setdefault(owner, set())
        noted.add(waiting)
        try:
            yield
        finally:
            noted.discard(waiting)
            if not noted:
                self._noted.pop(owner, None)

    def of(self, owners: Collection[str]) -> list[T]:
        return [waiting for owner in owners for waiting in self._noted.get(owner, ())]
