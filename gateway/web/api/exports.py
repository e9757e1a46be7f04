"""Downloads of a session as JSON or Markdown, written page by page to limit memory."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.contract.authors import Author
from gateway.contract.content import Audio, File, Image, Part, Text, size_of
from gateway.contract.store import MessageStore, StoredMessage, StoredSession
from gateway.dialects.json_encoding import json_bytes
from gateway.web.api.views import Message, Session, attached_bytes, message_view, session_view
from gateway.web.http.large_bodies import unhurried

PAGE = 200

Pages = AsyncIterator[Sequence[StoredMessage]]


@dataclass(frozen=True, slots=True)
class Export:
    """A session with all its messages, the oldest first."""

    session: Session
    messages: Sequence[Message]


async def pages_of(store: MessageStore, user_id: str, session_id: int) -> Pages:
    """Yield all messages in pages, the oldest first."""
    after = 0
    while page := await store.messages(user_id, session_id, after=after, limit=PAGE):
        yield page
        after = page[-1].id


async def as_json(session: StoredSession, pages: Pages) -> AsyncIterator[bytes]:
    """Yield the JSON of an Export."""
    yield b'{"session":' + json_bytes(session_view(session)) + b',"messages":['
    separator = b""
    async for page in pages:
        yield separator + await unhurried(attached_bytes(page), partial(_json, page))
        separator = b","
    yield b"]}\n"


async def as_markdown(session: StoredSession, pages: Pages, reader: str) -> AsyncIterator[bytes]:
    """Yield Markdown. Messages are block quotes, so that their own Markdown cannot affect other messages.

    reader: the user whose messages are headed "You"; those of a room's other members have their names.
    """
    title = " ".join(session.title.split()) or session.key
    yield f"# {title}\n\n{session.created_at:%Y-%m-%d %H:%M} UTC\n".encode(errors="replace")
    async for page in pages:
        yield await unhurried(attached_bytes(page), partial(_markdown_of_all, page, reader))


def _json(page: Sequence[StoredMessage]) -> bytes:
    return b",".join(json_bytes(message_view(message)) for message in page)


def _markdown_of_all(page: Sequence[StoredMessage], reader: str) -> bytes:
    return "".join(_markdown(message, reader) for message in page).encode(errors="replace")


def _markdown(message: StoredMessage, reader: str) -> str:
    name = _heading(message.author, reader)
    ending = "" if message.status == "complete" else f" ({message.status})"
    said = map(_part, message.parts) if message.parts else [message.content]
    quoted = "\n\n".join("\n".join(_quoted(text)) for text in said)
    return f"\n## {name}, {message.created_at:%Y-%m-%d %H:%M}{ending}\n\n{quoted}\n"


def _heading(author: Author, reader: str) -> str:
    if author.kind != "user":
        return author.name or "Assistant"
    return "You" if author.name in (None, reader) else _plain(author.name)


def _part(part: Part) -> str:
    match part:
        case Text(text):
            return text
        case Image(media_type, encoded):
            return f"![image](data:{media_type};base64,{encoded})"
        case Audio(format):
            return f"Sound ({format}, {size_of(part)} bytes)"
        case File(name, media_type):
            return f"File {_plain(name)} ({media_type}, {size_of(part)} bytes)"


def _plain(name: str) -> str:
    """Return the name on one line, with Markdown escaped."""
    line = " ".join(name.split())
    shown = "".join(character if character.isprintable() else "\ufffd" for character in line)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", shown)


def _quoted(text: str) -> Iterator[str]:
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        yield f"> {line}".rstrip()
