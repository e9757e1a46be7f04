"""Reads pages of a session's messages: all, or those of the branch that it shows, with their siblings."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.record import replace
from gateway.contract.store import MAX_PAGE_CHARS, StoredMessage
from gateway.store.branches import shown_path
from gateway.store.columns import MAX_ID
from gateway.store.pages import length_of, page_of
from gateway.store.rows import stored_messages
from gateway.store.tables import messages

_LENGTH = length_of(messages.c.content, messages.c.reasoning, messages.c.tool_calls) + func.coalesce(
    func.length(messages.c.parts), 0
)


async def message_page(
    connection: AsyncConnection, session_id: int, *, after: int, limit: int, path: bool
) -> Sequence[StoredMessage]:
    """Return the messages of MessageStore.messages."""
    wanted = (
        select(messages.c.id)
        .where(messages.c.session_id == session_id, messages.c.id > min(after, MAX_ID))
        .order_by(messages.c.id)
        .limit(limit)
    )
    if path:
        wanted = wanted.where(messages.c.id.in_(select(shown_path(session_id).c.id)))
    rows = (await connection.execute(page_of(messages, wanted, _LENGTH, MAX_PAGE_CHARS))).all()
    page = await stored_messages(rows)
    return await with_siblings(connection, session_id, page) if path and page else page


async def with_siblings(
    connection: AsyncConnection, session_id: int, page: Sequence[StoredMessage]
) -> Sequence[StoredMessage]:
    """Return the messages with the ids of all messages that have the same parent.

    A message that was deleted or got another parent since it was read is its own only sibling.
    """
    parent_ids = {message.parent_id for message in page}
    below = messages.c.parent_id.in_([id for id in parent_ids if id is not None])
    found = await connection.execute(
        select(messages.c.parent_id, messages.c.id)
        .where(
            messages.c.session_id == session_id,
            or_(below, messages.c.parent_id.is_(None)) if None in parent_ids else below,
        )
        .order_by(messages.c.id)
    )
    children: dict[int | None, list[int]] = {}
    for parent_id, id in found:
        children.setdefault(parent_id, []).append(id)
    return [replace(message, siblings=_siblings_of(message, children)) for message in page]


def _siblings_of(message: StoredMessage, children: Mapping[int | None, Sequence[int]]) -> tuple[int, ...]:
    found = children.get(message.parent_id, ())
    return tuple(found) if message.id in found else (message.id,)
