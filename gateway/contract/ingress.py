"""The interface to devices, which chat without HTTP: they send chats and receive replies."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.events import ReaderEvent, Terminal
from gateway.contract.room_events import RoomEvent


@dataclass(frozen=True, slots=True)
class DeviceChat:
    """A question from a device, or its message to a room.

    Attributes:
        device: the device's name.
        id: chosen by the device, 1 to 128 characters; a repeated id is the same chat.
        text: the question.
        session: a session's key; None continues the device's latest session of the last 12 hours, or starts
            a new one.
        ask: True asks the model, False does not; None: see NewMessage.
    """

    device: str
    id: str
    text: str
    session: str | None = None
    ask: bool | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """The chat was stored in this session, and asks nothing."""

    session_key: str


class Hearing(Protocol):
    """Reads the events of one reply for one listener."""

    @property
    def missed(self) -> bool:
        """True if events after the requested position were dropped; the terminal event has their text."""
        ...

    async def read(self) -> Sequence[ReaderEvent] | None:
        """Return all unread events, waiting for at least one; None after the last one was read.

        Raises FellBehind if events were dropped before they were read.
        """
        ...

    def stop(self) -> None:
        """Make the current and every later `read` return None."""
        ...


class ReplyHandle(Protocol):
    """A reply that is running, or one that ended a short time ago.

    was_begun: it was running before it was asked for, so the device may have a part of it.
    """

    @property
    def was_begun(self) -> bool: ...

    @property
    def goes_on_elsewhere(self) -> bool:
        """True once another gateway, or the next start of this one, has the reply: it sends the end."""
        ...

    @property
    def stream_id(self) -> str: ...

    def reading(self, after: int = 0) -> AbstractContextManager[Hearing]:
        """Read events from number `after` + 1 on, counted as a reader: when the last reader leaves, the reply
        is cancelled after a grace time. Entering raises NotFound if the reply's events were dropped."""
        ...

    def overhearing(self) -> AbstractContextManager[Hearing]:
        """Read all events without being counted as a reader."""
        ...

    def stop(self) -> None:
        """Cancel the reply as `user_stop` if it has not ended; its readers receive the terminal event."""
        ...


class Ask(Protocol):
    async def __call__(self, chat: DeviceChat) -> ReplyHandle | Terminal | Noted | None:
        """Start the reply to a chat, or find that of a repeated chat, which never gets a second reply.

        Returns the reply; start reading it before the next await. If the reply is only in the store, returns
        its terminal event; if another gateway answers the chat, None. Raises Forbidden, NotFound, Conflict,
        Unprocessable, LimitExceeded, Draining, TransportError or StorageFailed; then nothing is stored.
        """
        ...


StopChat = Callable[[str, str], Awaitable[None]]
"""Stops the reply to a chat at any gateway, from the device's name and the chat's id. Ignores unknown ones.
Raises GatewayError."""


class DeviceWatch(Protocol):
    """Learns which devices can be reached. The methods must not block or raise."""

    def came(self, device: str, *, only_here: bool) -> None:
        """The device has sent a message, or is back. only_here: other gateways did not get the message."""
        ...

    def went(self, device: str) -> None:
        """The device has disconnected, or the broker."""
        ...


class Ingress(Protocol):
    """Receives chats from devices and passes them to the Ask of its constructor."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Answer devices while the block runs. Leaving it first sends the replies that have ended."""
        ...

    def has_heard(self, device: str) -> bool:
        """True if this gateway has received a message from the device."""
        ...

    def is_away(self, device: str) -> bool:
        """True if the device's latest status, or its will, says that it has disconnected."""
        ...

    def go_on(self, device: str, id: str, text: Callable[[], Awaitable[str]]) -> None:
        """Answer a chat whose reply this gateway has taken over, as if the device had sent it again.

        Args:
            device: its name.
            id: of the chat.
            text: returns the question. Raises GatewayError.
        """
        ...

    def mirror(self, device: str, reply: ReplyHandle) -> None:
        """Send the device a reply that was requested over HTTP, without repeats. The device is not counted as
        a reader and does not slow the reply."""
        ...

    def watch(self, watch: DeviceWatch) -> None:
        """Let `watch` know of all devices from now on."""
        ...

    def tell(self, device: str, event: RoomEvent) -> None:
        """Send the device one event of a room. It is dropped if too many wait for the broker."""
        ...
