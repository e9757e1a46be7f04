"""The interface to devices, which chat without HTTP: they send chats and receive replies."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.events import ReaderEvent, Terminal


@dataclass(frozen=True, slots=True)
class DeviceChat:
    """A question from a device.

    Attributes:
        device: the device's name.
        id: chosen by the device, 1 to 128 characters; a repeated id is the same chat.
        text: the question.
        session: a session's key; None continues the device's latest session of the last 12 hours, or starts
            a new one.
    """

    device: str
    id: str
    text: str
    session: str | None = None


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
    """A reply that is running, or one that ended a short time ago."""

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
    async def __call__(self, chat: DeviceChat) -> ReplyHandle | Terminal | None:
        """Start the reply to a chat, or find that of a repeated chat, which never gets a second reply.

        Returns the reply; start reading it before the next await. If the reply is only in the store, returns
        its terminal event; if another gateway answers the chat, None. Raises Forbidden, NotFound, Conflict,
        Unprocessable, LimitExceeded, Draining, TransportError or StorageFailed; then nothing is stored.
        """
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

    def mirror(self, device: str, reply: ReplyHandle) -> None:
        """Send the device a reply that was requested over HTTP, without repeats. The device is not counted as
        a reader and does not slow the reply."""
        ...
