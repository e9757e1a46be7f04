"""What of a session goes to the model again: its latest messages, as far as they fit."""

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.pages import length_of, page_of
from gateway.store.tables import messages

PAGE = 100
_TEXT_LENGTH = length_of(messages.c.content)


async def latest_finished(connection: AsyncConnection, session_id: int, max_chars: int) -> list[Row[Any]]:
    """Latest first, a page at a time: a long session is not read for its last few messages."""
    finished = (
        select(messages.c.id)
        .where(
            messages.c.session_id == session_id,
            messages.c.status != "streaming",
            (messages.c.content != "") | messages.c.parts.is_not(None),
        )
        .order_by(messages.c.id.desc())
        .limit(PAGE)
    )
    latest: list[Row[Any]] = []
    page = finished
    while rows := (
        await connection.execute(page_of(messages, page, _TEXT_LENGTH, max_chars, descending=True))
    ).all():
        for row in rows:
            max_chars -= len(row.content)
            if max_chars < 0:
                return latest
            latest.append(row)
        if len(rows) < PAGE:
            break
        page = finished.where(messages.c.id < rows[-1].id)
    return latest
