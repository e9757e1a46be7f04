"""The worker's HTTP pages `/health` and `/ready`, for probes; a minimal server on asyncio."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from gateway.contract.host_ports import address_of

MAX_REQUEST_BYTES = 8 * 1024
ANSWER_S = 5.0
MAX_CONNECTIONS = 32

_MORE_HEADERS = {405: b"Allow: GET, HEAD\r\n", 503: b"Retry-After: 2\r\n"}

Report = Callable[[], tuple[bool, Mapping[str, Any]]]
"""Returns True if requests can be served now, and the JSON object of `/ready`."""


@asynccontextmanager
async def health_page(port: int, report: Report, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve during the block and yield the URL. Port 0 uses a free port. Raises OSError if the address cannot
    be used."""
    connections: set[_ProbeConnection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _ProbeConnection(report, connections), host, port
    )
    try:
        address, bound_port = server.sockets[0].getsockname()[:2]
        yield f"http://{address_of(address, bound_port)}"
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()
        await server.wait_closed()


class _ProbeConnection(asyncio.Protocol):
    """One request and its response. The connection is closed after ANSWER_S, and at once above
    MAX_CONNECTIONS; a request above MAX_REQUEST_BYTES gets 431."""

    def __init__(self, report: Report, connections: set["_ProbeConnection"]) -> None:
        self._report = report
        self._connections = connections
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._deadline = asyncio.get_running_loop().call_later(ANSWER_S, self.abort)
        if len(self._connections) > MAX_CONNECTIONS:
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._received += data
        if b"\r\n\r\n" in self._received:
            self._answer(*self._page())
        elif len(self._received) > MAX_REQUEST_BYTES:
            self._answer(431, {"error": "the request is too large"})

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._connections.discard(self)

    def abort(self) -> None:
        self._transport.abort()

    def _page(self) -> tuple[int, Mapping[str, Any]]:
        match self._received.partition(b"\r\n")[0].split(b" "):
            case [b"GET" | b"HEAD", path, b"HTTP/1.1" | b"HTTP/1.0"]:
                if path == b"/health":
                    return 200, {"status": "ok"}
                if path == b"/ready":
                    ready, told = self._report()
                    return 200 if ready else 503, told
                return 404, {"error": "only /health and /ready exist"}
            case [_, _, b"HTTP/1.1" | b"HTTP/1.0"]:
                return 405, {"error": "only GET and HEAD are allowed"}
        return 400, {"error": "the request is not HTTP/1.1 or HTTP/1.0"}

    def _answer(self, status: int, told: Mapping[str, Any]) -> None:
        body = json.dumps(told).encode()
        head = (
            b"HTTP/1.1 %d \r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b"
            b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        ) % (status, len(body), _MORE_HEADERS.get(status, b""))
        self._transport.write(head if self._received.startswith(b"HEAD ") else head + body)
        self._transport.close()
