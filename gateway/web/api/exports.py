"""A whole session as a download, a page at a time: a long one is never in memory as a whole."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from gateway.contract.store import MessageStore, StoredMessage, StoredSession
from gateway.dialects.frame import json_bytes
from gateway.web.api.views import Message, Session, message_view, session_view

PAGE = 200

Pages = AsyncIterator[Sequence[StoredMessage]]


@dataclass(frozen=True, slots=True)
class Export:
    """A session as JSON, the oldest message first."""

    session: Session
    messages: Sequence[Message]


async def pages_of(store: MessageStore, user_id: str, session_id: int) -> Pages:
    """All messages, the oldest first."""
    after = 0
    while page := await store.messages(user_id, session_id, after=after, limit=PAGE):
        yield page
        after = page[-1].id


async def as_json(session: StoredSession, pages: Pages) -> AsyncIterator[bytes]:
    """An Export."""
    yield b'{"session":' + json_bytes(session_view(session)) + b',"messages":['
    separator = b""
    async for page in pages:
        yield separator + b",".join(json_bytes(message_view(message)) for message in page)
        separator = b","
    yield b"]}\n"


async def as_markdown(session: StoredSession, pages: Pages) -> AsyncIterator[bytes]:
    """Every message is a quotation: whatever it holds, it ends before the next one begins."""
    title = " ".join(session.title.split()) or session.key
    yield f"# {title}\n\n{session.created_at:%Y-%m-%d %H:%M} UTC\n".encode(errors="replace")
    async for page in pages:
        yield "".join(map(_markdown, page)).encode(errors="replace")


def _markdown(message: StoredMessage) -> str:
    author = message.author
    name = "You" if author.kind == "user" else author.name or "Assistant"
    ending = "" if message.status == "complete" else f" ({message.status})"
    quoted = "\n".join(_quoted(message.content))
    return f"\n## {name}, {message.created_at:%Y-%m-%d %H:%M}{ending}\n\n{quoted}\n"


def _quoted(text: str) -> Iterator[str]:
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        yield f"> {line}".rstrip()
