"""Reads a session's latest messages for the model, up to the limits of text and attachments."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.content import chars_of
from gateway.contract.error_codes import REFUSALS
from gateway.contract.store import StoredMessage
from gateway.store.branches import leaf_of, path_up_from
from gateway.store.columns import RowId
from gateway.store.pages import columns_of, length_of
from gateway.store.rows import stored_messages
from gateway.store.tables import messages

PAGE = 100

_REPLIES = messages.alias()


def _has_reply(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    in_session, to_message = (
        _REPLIES.c.session_id == messages.c.session_id,
        _REPLIES.c.parent_id == messages.c.id,
    )
    return exists().where(in_session, to_message, *where)


_WAS_REFUSED = and_(
    messages.c.role == literal_column("'user'"),
    _has_reply(_REPLIES.c.error_code.in_([literal_column(f"'{code}'") for code in REFUSALS])),
    ~_has_reply(_REPLIES.c.role == literal_column("'assistant'"), _REPLIES.c.content != literal_column("''")),
)


def _page() -> Select[Any]:
    """Select the finished messages of a path, latest first, up to the one at which their text exceeds
    `max_chars`. `parts` is NULL from the message on at which their parts exceed `max_bytes`."""
    rows = (
        select(
            messages.c.id,
            length_of(messages.c.content).label("chars"),
            func.coalesce(func.length(messages.c.parts), 0).label("bytes"),
        )
        .join(_PATH, messages.c.id == _PATH.c.id)
        .where(
            messages.c.status != "streaming",
            (messages.c.content != "") | messages.c.parts.is_not(None),
            ~_WAS_REFUSED,
        )
        .subquery()
    )
    latest_first = rows.c.id.desc()
    max_chars, max_bytes = (bindparam(name, type_=BigInteger) for name in ("max_chars", "max_bytes"))
    sums = select(
        rows.c.id,
        rows.c.bytes,
        (func.sum(rows.c.chars).over(order_by=latest_first) - rows.c.chars).label("chars_before"),
        func.sum(rows.c.bytes).over(order_by=latest_first).label("bytes_up_to"),
    ).subquery()
    return (
        select(
            *[column for column in columns_of(messages) if column.name != "parts"],
            sums.c.bytes,
            case((sums.c.bytes_up_to <= max_bytes, messages.c.parts)).label("parts"),
        )
        .join(sums, messages.c.id == sums.c.id)
        .where(sums.c.chars_before < max_chars)
        .order_by(messages.c.id.desc())
    )


# Made once, with named values: to build and compile them takes longer than to run them.
# "first_id": where the path begins; None for the last message of the branch that the session shows.
_SESSION_ID = bindparam("session_id", type_=RowId)
_FIRST_ID = func.coalesce(bindparam("first_id", type_=RowId), leaf_of(_SESSION_ID))
_PATH = path_up_from(_FIRST_ID, PAGE)
_PAGE = _page()
_ABOVE = select(_PATH.c.parent_id).order_by(_PATH.c.id).limit(1)


async def latest_finished(
    connection: AsyncConnection, session_id: int, max_chars: int, max_bytes: int, last_id: int | None
) -> Sequence[StoredMessage]:
    """Return the messages of MessageStore.history, oldest first."""
    rows = await _rows(connection, session_id, max_chars, max_bytes, last_id)
    chars = 0

    def fits(message: StoredMessage) -> bool:
        nonlocal chars
        chars += chars_of(message.parts or message.content)
        return chars <= max_chars

    return [*takewhile(fits, await stored_messages(rows))][::-1]


async def _rows(
    connection: AsyncConnection, session_id: int, max_chars: int, max_bytes: int, first_id: int | None
) -> list[Row[Any]]:
    """Return rows, latest first, read page by page: a long session is not read as a whole."""
    latest: list[Row[Any]] = []
    while True:
        path = {"session_id": session_id, "first_id": first_id}
        limits = {"max_chars": max_chars, "max_bytes": max_bytes}
        rows = (await connection.execute(_PAGE, path | limits)).all()
        for row in rows:
            max_chars -= len(row.content)
            max_bytes -= row.bytes
            if max_chars < 0:
                return latest
            latest.append(row)
        first_id = rows[-1].parent_id if rows else (await connection.execute(_ABOVE, path)).scalar()
        if first_id is None or max_chars <= 0:
            return latest
