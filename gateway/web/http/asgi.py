"""The few ASGI words that endpoints below FastAPI need. Source: ASGI 3.0, HTTP connection scope."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from gateway.contract.errors import BadRequest, TooLarge, TooSlow

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

CONNECTION = "sluice.connection"
"""The scope's extension under which our server, or any_server.py, puts the request's Connection."""


class ConnectionWatcher(Protocol):
    def connection_lost(self) -> None:
        """The client is gone."""
        ...

    def connection_writable(self) -> None:
        """The client has read what it was behind with."""
        ...


class Connection(Protocol):
    """The client's socket under a chunked response that has begun."""

    @property
    def writable(self) -> bool:
        """False while the client is too far behind to be written to."""
        ...

    def write_chunk(self, body: bytes) -> None:
        """Send one chunk, not empty, now; nothing blocks and nothing is raised."""
        ...

    def abort(self) -> None:
        """Close the socket and drop what it has not taken."""
        ...

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        """Tell this watcher, from now on, instead of any before; at once if the client is gone already."""
        ...


def connection_of(scope: Scope) -> Connection:
    connection: Connection = scope["extensions"][CONNECTION]
    return connection


def header(scope: Scope, name: bytes) -> str | None:
    """The request header's first value. name: lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


async def read_body(receive: Receive, max_bytes: int, silence_s: float) -> bytes:
    """The whole request body; TooLarge as soon as it is, TooSlow when nothing of it comes for `silence_s`,
    BadRequest if the client leaves in the middle."""
    chunks: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(silence_s):
                message = await receive()
        except TimeoutError:
            raise TooSlow(f"Nothing more of the request came for {silence_s:g} s.") from None
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection was closed before the request was whole.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"The request body is larger than {max_bytes} bytes.")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
