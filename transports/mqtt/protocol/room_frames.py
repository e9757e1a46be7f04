"""The payloads to devices about their rooms. Each has the room's key as `room`.

Positions and lengths count code points. A device that has missed a frame notices it: the position of the next
text is not the length of the text so far.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from gateway.contract.authors import Author
from gateway.contract.content import Text, parts_of, text_of
from gateway.contract.room_events import (
    MembersChanged,
    MessagePosted,
    PersonCame,
    PersonWent,
    PresenceChanged,
    ReplyBegan,
    ReplyGrew,
    ReplyOver,
    RoomEvent,
    TypingChanged,
)
from transports.mqtt.protocol.frames import Frame

MAX_TEXT = 4_096
"""Maximum code points of text in one frame: a microcontroller holds a frame in one buffer."""


class AuthorField(msgspec.Struct, gc=False):
    kind: str
    name: str | None


class RoomMessage(Frame, tag="message", omit_defaults=True):
    """A message. length: of its whole text, if `text` is only the beginning. attachments: their number."""

    room: str
    id: int
    author: AuthorField
    text: str
    role: Literal["user", "assistant"] = "user"
    origin: Literal["room", "broadcast"] = "room"
    length: int | None = None
    attachments: int = 0


class RoomAccept(Frame, tag="accept"):
    """A reply begins. id: of its stream. question: id of the message that it answers."""

    room: str
    id: str
    question: int


class RoomChunk(Frame, tag="chunk"):
    room: str
    id: str
    position: int
    text: str


class RoomReasoning(Frame, tag="reasoning"):
    room: str
    id: str
    position: int
    text: str


class RoomEnd(Frame, tag="end"):
    """The reply has ended. length: of its whole text."""

    room: str
    id: str
    reason: str
    length: int


class RoomError(Frame, tag="error"):
    """The reply failed, after `length` code points of text."""

    room: str
    id: str
    code: str
    message: str
    length: int


class RoomTyping(Frame, tag="typing"):
    room: str
    author: AuthorField
    typing: bool


class RoomPresence(Frame, tag="presence"):
    """status: `online` or `offline`, or another that the person's client has chosen."""

    room: str
    author: AuthorField
    status: str


class RoomMembers(Frame, tag="members"):
    """The room's members have changed."""

    room: str


_encoder = msgspec.json.Encoder()


def encode_room_event(event: RoomEvent) -> tuple[bytes, ...]:
    """Return the payloads of an event. A reply's long text is several frames; a message's is cut."""
    return tuple(map(_encode, _frames(event.room_key, event.what)))


def _encode(frame: Frame) -> bytes:
    try:
        return _encoder.encode(frame)
    except UnicodeEncodeError:  # half a character, which JSON cannot have
        return _encoder.encode(_storable(msgspec.to_builtins(frame)))


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return {key: _storable(each) for key, each in value.items()} if isinstance(value, dict) else value


def _frames(room: str, what: object) -> Iterator[Frame]:
    match what:
        case MessagePosted():
            yield _message(room, what)
        case ReplyBegan(stream_id, _, question_id, text, reasoning):
            yield RoomAccept(room, stream_id, question_id)
            yield from _pieces(RoomReasoning, room, stream_id, 0, reasoning)
            yield from _pieces(RoomChunk, room, stream_id, 0, text)
        case ReplyGrew(stream_id, position, text, reasoning_position, reasoning):
            yield from _pieces(RoomReasoning, room, stream_id, reasoning_position, reasoning)
            yield from _pieces(RoomChunk, room, stream_id, position, text)
        case ReplyOver(stream_id, _, _, reason, chars, error=None):
            yield RoomEnd(room, stream_id, reason, chars)
        case ReplyOver(stream_id, _, _, _, chars, error=(str(code), str(message))):
            yield RoomError(room, stream_id, code, message[:MAX_TEXT], chars)
        case PersonCame(who):
            yield RoomPresence(room, _author(who), "online")
        case PersonWent(who):
            yield RoomPresence(room, _author(who), "offline")
        case PresenceChanged(who, status):
            yield RoomPresence(room, _author(who), status[:MAX_TEXT])
        case TypingChanged(who, typing):
            yield RoomTyping(room, _author(who), typing)
        case MembersChanged():
            yield RoomMembers(room)


def _message(room: str, message: MessagePosted) -> RoomMessage:
    text = text_of(message.content)
    return RoomMessage(
        room,
        message.message_id,
        _author(message.author),
        text[:MAX_TEXT],
        message.role,
        message.origin,
        length=len(text) if len(text) > MAX_TEXT else None,
        attachments=sum(not isinstance(part, Text) for part in parts_of(message.content)),
    )


def _pieces(
    kind: type[RoomChunk | RoomReasoning], room: str, stream_id: str, position: int, text: str
) -> Iterator[Frame]:
    for at in range(0, len(text), MAX_TEXT):
        yield kind(room, stream_id, position + at, text[at : at + MAX_TEXT])


def _author(who: Author) -> AuthorField:
    return AuthorField(who.kind, who.name)
