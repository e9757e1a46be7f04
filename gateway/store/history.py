"""Reads a session's latest messages for the model, up to the limits of text and attachments."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import CTE, Row, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.content import chars_of
from gateway.contract.store import StoredMessage
from gateway.store.branches import path_up_from
from gateway.store.pages import OF_ONE_REPLY, length_of
from gateway.store.rows import stored_messages
from gateway.store.tables import messages

PAGE = 100
_TEXT_LENGTH = length_of(messages.c.content)
_PARTS_LENGTH = func.coalesce(func.length(messages.c.parts), 0)
_WITHOUT_PARTS = [column for column in messages.c if column.name not in ("parts", *OF_ONE_REPLY)]


async def latest_finished(
    connection: AsyncConnection, session_id: int, max_chars: int, max_bytes: int
) -> Sequence[StoredMessage]:
    """Return the messages of MessageStore.history, oldest first."""
    rows = await _rows(connection, session_id, max_chars, max_bytes)
    chars = 0

    def fits(message: StoredMessage) -> bool:
        nonlocal chars
        chars += chars_of(message.parts or message.content)
        return chars <= max_chars

    return [*takewhile(fits, await stored_messages(rows))][::-1]


async def _rows(
    connection: AsyncConnection, session_id: int, max_chars: int, max_bytes: int
) -> list[Row[Any]]:
    """Return rows, latest first, read page by page: a long session is not read as a whole."""
    latest: list[Row[Any]] = []
    first_id: int | None = None
    while True:
        path = path_up_from(session_id, first_id, PAGE)
        finished = (
            select(messages.c.id, _TEXT_LENGTH.label("chars"), _PARTS_LENGTH.label("bytes"))
            .join(path, messages.c.id == path.c.id)
            .where(
                messages.c.status != "streaming",
                (messages.c.content != "") | messages.c.parts.is_not(None),
            )
        )
        rows = (await connection.execute(_page_of(finished, max_chars, max_bytes))).all()
        for row in rows:
            max_chars -= len(row.content)
            max_bytes -= row.bytes
            if max_chars < 0:
                return latest
            latest.append(row)
        first_id = rows[-1].parent_id if rows else await _above(connection, path)
        if first_id is None or max_chars <= 0:
            return latest


async def _above(connection: AsyncConnection, path: CTE) -> int | None:
    """Return the message above the path."""
    oldest = select(path.c.parent_id).order_by(path.c.id).limit(1)
    found: int | None = (await connection.execute(oldest)).scalar()
    return found


def _page_of(finished: Select[Any], max_chars: int, max_bytes: int) -> Select[Any]:
    """Select the rows up to the one at which their text exceeds `max_chars`. `parts` is NULL from the row on
    at which their parts exceed `max_bytes`."""
    rows = finished.subquery()
    latest_first = rows.c.id.desc()
    sums = select(
        rows.c.id,
        rows.c.bytes,
        (func.sum(rows.c.chars).over(order_by=latest_first) - rows.c.chars).label("chars_before"),
        func.sum(rows.c.bytes).over(order_by=latest_first).label("bytes_up_to"),
    ).subquery()
    return (
        select(
            *_WITHOUT_PARTS,
            sums.c.bytes,
            case((sums.c.bytes_up_to <= max_bytes, messages.c.parts)).label("parts"),
        )
        .join(sums, messages.c.id == sums.c.id)
        .where(sums.c.chars_before < max_chars)
        .order_by(messages.c.id.desc())
    )
