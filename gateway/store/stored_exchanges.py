"""Reads the ids of a stored question and its reply."""

from typing import Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.branches import question_above
from gateway.store.tables import messages, sessions

_THIS = messages.c.stream_id == bindparam("wanted")
_SELECT = (
    select(
        sessions.c.id,
        sessions.c.key,
        sessions.c.uuid,
        func.coalesce(question_above(_THIS).scalar_subquery(), 0),
        messages.c.id,
        messages.c.uuid,
        sessions.c.created_at == messages.c.created_at,
        messages.c.epoch,
        messages.c.user_id,
    )
    .join(sessions, sessions.c.id == messages.c.session_id)
    .where(_THIS)
)


async def exchange_row(connection: AsyncConnection, stream_id: str) -> Row[Any] | None:
    """Return the arguments of Exchange and, last, the user id of the reply."""
    return (await connection.execute(_SELECT, {"wanted": stream_id})).first()
