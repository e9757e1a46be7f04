"""The interface of a WebSocket on which messages are written without awaiting."""

from collections.abc import Sequence
from typing import Protocol

from gateway.web.http.asgi import ConnectionWatcher, Scope

SOCKET = "sluice.socket"
"""Key of the MessageConnection in the scope's extensions. SocketConnection or AnyServer sets it."""


class MessageConnection(Protocol):
    """A client's WebSocket after the handshake. It is as gateway.web.http.asgi.Connection, for messages."""

    @property
    def writable(self) -> bool:
        """False while the send buffer is full, because the client reads too slowly."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are written and not sent yet."""
        ...

    def write_messages(self, messages: Sequence[bytes]) -> None:
        """Send text messages in UTF-8. Does not block and does not raise."""
        ...

    def abort(self) -> None:
        """Close the connection and drop the data that is not sent yet."""
        ...

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        """Replace the watcher; None removes it. Calls `connection_lost` now if the client is gone."""
        ...

    def accept_messages_of(self, max_bytes: int) -> None:
        """Set the maximum size of a message from the client. Other servers than ours ignore it."""
        ...

    def admit(self) -> None:
        """The client has shown who it is: do not count any more what it sends."""
        ...


def socket_of(scope: Scope) -> MessageConnection:
    socket: MessageConnection = scope["extensions"][SOCKET]
    return socket
