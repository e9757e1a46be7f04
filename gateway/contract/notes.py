"""Notes: messages that ask nothing."""

from typing import Literal, NamedTuple

from msgspec import Struct

from gateway.contract.authors import Author
from gateway.contract.content import Content
from gateway.contract.room_events import MessagePosted, Origin
from gateway.contract.store import StoredMessage


class NewNote(Struct, frozen=True):
    """A note for the end of an existing session.

    Attributes:
        title: of the session, if it has none.
        origin: `broadcast`: the note is stored only if the session has no message with this id, which may be
            a client id, a uuid, the number of a message or the id of a stream, also as the dialects spell it;
            `room`: only if its author has sent none with this id.
        role: `assistant` for a model's text that a client got elsewhere.
        client_id: chosen by the client that sent it.
    """

    user_id: str
    session_id: int
    author: Author
    content: Content
    title: str = ""
    origin: Origin = "room"
    role: Literal["user", "assistant"] = "user"
    client_id: str | None = None


class KeptNote(NamedTuple):
    """A stored note; is_new: False if a message with its id was there, which is `message` then."""

    message: StoredMessage
    is_new: bool


def posted(message: StoredMessage) -> MessagePosted:
    """Return a stored message as a room hears it."""
    return MessagePosted(
        message.id,
        message.uuid,
        message.author,
        message.role,
        message.parts or message.content,
        message.created_at,
        message.origin or "room",
        message.client_id,
        message.stream_id,
    )
