"""The seam for whoever asks without HTTP: a device's chats come in, and replies go out to devices."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.events import ReaderEvent, Terminal


@dataclass(frozen=True, slots=True)
class DeviceChat:
    """What a device asks.

    id: the device's own name for this chat, 1 to 128 characters; the same again is the same chat. session:
    a session's key; None goes on with the device's latest of the last 12 hours, or starts one.
    """

    device: str
    id: str
    text: str
    session: str | None = None


class Hearing(Protocol):
    """One listener's place in a reply."""

    @property
    def missed(self) -> bool:
        """Events behind the place that was asked for are gone; their text is in the reply's end."""
        ...

    async def read(self) -> Sequence[ReaderEvent] | None:
        """All events that were not read yet, waiting for one if there is none; None when all was read.

        FellBehind if some were dropped before they were read.
        """
        ...

    def stop(self) -> None:
        """Let `read` return None, now and later."""
        ...


class ReplyHandle(Protocol):
    """A reply in the making, or one that has just ended."""

    @property
    def stream_id(self) -> str: ...

    def reading(self, after: int = 0) -> AbstractContextManager[Hearing]:
        """Be one of its readers, from the event numbered `after` + 1 on: when the last one leaves, it ends
        after a grace. NotFound on entering when it ended too long ago."""
        ...

    def overhearing(self) -> AbstractContextManager[Hearing]:
        """Hear it from the start without being one of its readers."""
        ...

    def stop(self) -> None:
        """End it as `user_stop`, if it has not ended; its readers hear the end."""
        ...


class Ask(Protocol):
    async def __call__(self, chat: DeviceChat) -> ReplyHandle | Terminal | None:
        """The reply to a chat, to be read before the next await; its end alone, if that was told before and
        only the store knows it; None if another gateway answers.

        The same chat again never makes a second reply. Raises Forbidden, NotFound, Conflict, Unprocessable,
        LimitExceeded, Draining, TransportError or StorageFailed, and then nothing is kept.
        """
        ...


class Ingress(Protocol):
    """Where devices come in. It is given an Ask when it is built."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Answer for as long as the block lasts; leaving it lets replies that have ended go out first."""
        ...

    def has_heard(self, device: str) -> bool:
        """Whether this device has said anything here."""
        ...

    def mirror(self, device: str, reply: ReplyHandle) -> None:
        """Show the device, once, a reply that was asked for over HTTP. It is not slowed nor kept alive."""
        ...
