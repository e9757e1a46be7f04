"""Questions and replies to keep, with only what a test cares about spelt out."""

from typing import Any
from uuid import uuid4

from gateway.contract.exchanges import Exchange, FinalReply, NewExchange
from gateway.contract.store import MessageStore, StoredMessage


def question(session_id: int | None = None, **said: Any) -> NewExchange:
    given: dict[str, Any] = {
        "user_id": "local",
        "title": "a title",
        "content": "What is a sluice?",
        "stream_id": uuid4().hex,
        "mode": "sse",
        "delivery": "token",
    }
    return NewExchange(session_id=session_id, **(given | said))


def answer(exchange: Exchange, content: str = "A gate in a channel.", **said: Any) -> FinalReply:
    given: dict[str, Any] = {"status": "complete", "reason": "stop", "delivery": "token", "mode": "sse"}
    return FinalReply(exchange.assistant_message_id, content=content, **(given | said))


async def ask(store: MessageStore, content: str, reply: str, session_id: int | None = None) -> Exchange:
    """A whole exchange, kept."""
    exchange = await store.begin(question(session_id, content=content))
    assert await store.finish(answer(exchange, reply))
    return exchange


async def both(store: MessageStore, session_id: int) -> tuple[StoredMessage, StoredMessage]:
    """The question and the reply of a session that has one of each."""
    asked, replied = await store.messages("local", session_id)
    return asked, replied
