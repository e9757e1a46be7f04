"""Events of a room, and the interface of its listeners: sockets, event streams and devices.

Each event is made once and given to all listeners of the room at this gateway. A listener must encode it
with RoomEvent.encoded, so that equal listeners share the bytes.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct, field

from gateway.contract.authors import Author
from gateway.contract.content import Content
from gateway.contract.events import Reason, Status, ToolCall

T = TypeVar("T")

MAX_ATTACHED_BYTES = 32 * 1024
"""Maximum size of the attachments of a message, decoded, that rooms get with their parts."""

Origin = Literal["room", "broadcast"]
"""`broadcast`: a client that had received the message elsewhere told the room about it."""


@dataclasses.dataclass(slots=True, unsafe_hash=True)
class MessagePosted:
    """A message was stored in the room.

    Attributes:
        client_id: the id that the sender gave; None if it gave none.
        stream_id: of a reply that ended while the listener was away; else None.
        except_for: a listener that must not hear it, because its client sent it.
    """

    message_id: int
    uuid: str
    author: Author
    role: Literal["user", "assistant"]
    content: Content
    created_at: datetime
    origin: Origin = "room"
    client_id: str | None = None
    stream_id: str | None = None
    except_for: "RoomListener | None" = dataclasses.field(default=None, compare=False, repr=False)


class ReplyBegan(Struct, frozen=True):
    """The model's reply to a question of the room.

    Attributes:
        text, reasoning: those so far, if the listener joined late; else empty. The next ReplyGrew follows on
            them.
        asked_by: author of the question if this is its first reply; None for a regenerated one.
    """

    stream_id: str
    message_id: int
    question_id: int
    text: str = ""
    reasoning: str = ""
    asked_by: Author | None = None


class ReplyGrew(Struct, frozen=True):
    """The next text of a running reply; one of both texts may be empty.

    Attributes:
        position: code points of the reply's text before this one.
        reasoning_position: the same for its reasoning.
    """

    stream_id: str
    position: int
    text: str
    reasoning_position: int = 0
    reasoning: str = ""


class ReplyOver(Struct, frozen=True):
    """The reply has ended, and is stored.

    Attributes:
        chars: code points of its whole text.
        error: code and message of a reply that failed or was interrupted; else None.
    """

    stream_id: str
    message_id: int
    status: Status
    reason: Reason
    chars: int
    model: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    error: tuple[str, str] | None = None


class PersonCame(Struct, frozen=True):
    """The first listener of a user or device joined the room."""

    who: Author


class PersonWent(Struct, frozen=True):
    """The last listener of a user or device left the room."""

    who: Author


class PresenceChanged(Struct, frozen=True):
    """status: chosen by the person's client, such as `online` or `away`."""

    who: Author
    status: str
    metadata: Mapping[str, Any]


class TypingChanged(Struct, frozen=True):
    who: Author
    typing: bool


class MembersChanged(Struct, frozen=True):
    """Members were added, removed, or got another role: the list must be read again."""


Happening = (
    MessagePosted
    | ReplyBegan
    | ReplyGrew
    | ReplyOver
    | PersonCame
    | PersonWent
    | PresenceChanged
    | TypingChanged
    | MembersChanged
)


class RoomEvent:
    """One event of a room, with its encodings.

    Attributes:
        session_id: id of the room's session.
        room_key: the room's key, the `roomId` of clients.
        what: the event.
        after: the argument for a client's next join, once it has got this event; None if the event does not
            change it. It stays below the first reply that has not ended, also if later messages were sent.
    """

    __slots__ = ("_encodings", "after", "room_key", "session_id", "what")

    def __init__(self, session_id: int, room_key: str, what: Happening, after: int | None = None) -> None:
        self.session_id = session_id
        self.room_key = room_key
        self.what = what
        self.after = after
        self._encodings: dict[Callable[[RoomEvent], Any], Any] = {}

    def encoded(self, encode: Callable[["RoomEvent"], T]) -> T:
        """Return `encode(self)`, which is called once for all listeners that use the same function."""
        try:
            encoded: T = self._encodings[encode]
        except KeyError:
            encoded = self._encodings[encode] = encode(self)
        return encoded


class RoomListener(Protocol):
    """One connection that hears a room. The methods must not block or raise."""

    def hear(self, event: RoomEvent) -> None: ...

    def dismiss(self, session_id: int) -> None:
        """The listener hears nothing more of this room: it is no member any more, the room was deleted, or
        events were lost. A member may join again, with `after`."""
        ...


class Person(Struct, frozen=True):
    """A user or device that is in the room. status, metadata: see PresenceChanged."""

    who: Author
    status: str = "online"
    metadata: Mapping[str, Any] = field(default_factory=dict)
