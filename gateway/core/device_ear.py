"""Hears one room for one device."""

from collections import deque
from collections.abc import Callable

from gateway.contract.authors import Author
from gateway.contract.room_events import (
    MembersChanged,
    MessagePosted,
    ReplyBegan,
    ReplyGrew,
    ReplyOver,
    RoomEvent,
)
from gateway.core.room_channel import Place

MAX_STREAMS = 100
"""Number of a room's latest replies that an ear knows."""

Tell = Callable[[str, RoomEvent], None]
"""Sends a device one event; must not block or raise."""


class DeviceEar:
    """Implements RoomListener for one device in one room.

    It leaves out what the device has said and asked itself: its own chat answers that, and a device that
    answers every message must not answer itself.

    Attributes:
        place: None before it has joined.
        is_dismissed: it hears nothing more.
        after: for the next join, see RoomEvent.after; None before the first one.

    Args:
        before: the listener that was dismissed; None for the first.
    """

    def __init__(
        self,
        device: str,
        user_id: str,
        session_id: int,
        tell: Tell,
        on_dismissed: Callable[["DeviceEar"], None],
        before: "DeviceEar | None",
    ) -> None:
        self.device = device
        self.user_id = user_id
        self.session_id = session_id
        self.who = Author("device", device)
        self.place: Place | None = None
        self.is_dismissed = False
        self.after: int | None = None if before is None else before.after
        self._heard: set[int] = set() if before is None else before._heard
        self._tell = tell
        self._on_dismissed = on_dismissed
        self._own_streams: set[str] = set() if before is None else before._own_streams
        self._streams: deque[str] = deque(maxlen=MAX_STREAMS) if before is None else before._streams

    def has_heard(self, stream_id: str) -> bool:
        """True if the listener got the beginning or all of this reply."""
        return stream_id in self._streams

    def hear(self, event: RoomEvent) -> None:
        if isinstance(event.what, ReplyBegan | MessagePosted) and event.what.stream_id is not None:
            self._streams.append(event.what.stream_id)
        if not self._is_repeated(event) and not self._is_own(event):
            self._tell(self.device, event)

    def dismiss(self, session_id: int) -> None:
        self._on_dismissed(self)

    def leave(self) -> None:
        if self.place is not None:
            self.place.leave()

    def _is_repeated(self, event: RoomEvent) -> bool:
        """True for a message that came before, and again after a dismissal."""
        what, is_repeated = event.what, False
        if isinstance(what, MessagePosted | ReplyOver):
            is_repeated = isinstance(what, MessagePosted) and what.message_id in self._heard
            self._heard.add(what.message_id)
        if event.after is not None:
            self.after = event.after
            self._heard = {id for id in self._heard if id > event.after}
        return is_repeated

    def _is_own(self, event: RoomEvent) -> bool:
        match event.what:
            case MessagePosted() as message:
                return message.author == self.who or message.stream_id in self._own_streams
            case ReplyBegan(stream_id, asked_by=self.who):
                self._own_streams.add(stream_id)
                return True
            case ReplyBegan():
                return False
            case ReplyGrew(stream_id):
                return stream_id in self._own_streams
            case ReplyOver(stream_id):
                was_own = stream_id in self._own_streams
                self._own_streams.discard(stream_id)
                return was_own
            case MembersChanged():
                return False
            case other:
                return other.who == self.who
