"""The interface of a protocol that is spoken on the plain WebSocket, and what it may use of the socket."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.contract.errors import BadRequest, GatewayError
from gateway.core.key_ring import Caller
from gateway.web.http.asgi import Scope
from gateway.web.http.message_connection import MessageConnection

MAX_REFUSED = 16
"""Frames without valid credentials, or refused before the first valid one, after which a socket is closed."""


class Frame(NamedTuple):
    """A JSON object from the client. fields: its values by name, not parsed yet."""

    raw: bytes
    fields: Mapping[str, msgspec.Raw]


class BadFrame(BadRequest):
    """The frame belongs to no protocol of this socket: the socket is closed."""

    code = "bad_frame"


class OpenSocket(Protocol):
    """One client's WebSocket.

    Attributes:
        scope: the ASGI scope of its handshake.
        connection: writes to it.
        tasks: they must end soon after `Speaker.leave`.
    """

    scope: Scope
    connection: MessageConnection
    tasks: asyncio.TaskGroup

    async def admit(self, headers: Mapping[str, str], ticket: str | None = None) -> Caller:
        """Return the caller of a frame with these headers or this ticket, and count the request.

        Raises Unauthorized, Forbidden, LimitExceeded, or StorageFailed.
        """
        ...

    def write(self, message: Mapping[str, Any]) -> None:
        """Send one JSON object."""
        ...

    def end(self, reason: str) -> None:
        """Close the socket soon, because of a violation of policy."""
        ...

    def log_refusal(self, error: GatewayError) -> None:
        """Count a refused frame in the log of refusals."""
        ...


class Speaker(Protocol):
    """One protocol on one socket. Frames are given to it one after the other."""

    def takes(self, frame: Frame) -> bool:
        """True if the frame is one of this protocol."""
        ...

    async def hear(self, frame: Frame) -> None:
        """Handle a frame. Raises BadFrame if no answer can name it."""
        ...

    def connection_writable(self) -> None:
        """The socket can be written to again."""
        ...

    def leave(self) -> None:
        """The socket is closed."""
        ...
