"""ASGI types, and the Connection interface. Source: ASGI 3.0, HTTP."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

CONNECTION = "sluice.connection"
"""Key of the request's Connection in the scope's extensions. ClientConnection or AnyServer sets it."""


class ConnectionWatcher(Protocol):
    """Gets the callbacks of one Connection."""

    def connection_lost(self) -> None:
        """The client has disconnected, or the connection was aborted."""
        ...

    def connection_writable(self) -> None:
        """The connection can be written to again."""
        ...


class Connection(Protocol):
    """The client's connection while a chunked response is sent on it."""

    @property
    def writable(self) -> bool:
        """False while the send buffer is full, because the client reads too slowly."""
        ...

    def write_chunk(self, body: bytes) -> None:
        """Send one non-empty chunk. Does not block and does not raise."""
        ...

    def abort(self) -> None:
        """Close the connection and drop the data that is not sent yet."""
        ...

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        """Replace the watcher; None removes it. Calls `connection_lost` now if the client is gone."""
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
