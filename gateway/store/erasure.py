"""Erases all that belongs to one user."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.contract.errors import Conflict
from gateway.store.columns import storable
from gateway.store.removal import BATCH, remove_messages
from gateway.store.tables import (
    STREAMING,
    api_keys,
    devices,
    idempotency_keys,
    messages,
    sessions,
    templates,
    token_usage,
)
from gateway.store.usage import count_deleted
from gateway.store.writer import Write, Writer

ERASED = "erased"
"""The owner of keys that were a deleted user's: keys are never deleted, see ApiKeyRow."""

_RUNNING = select(func.count()).where(STREAMING, messages.c.user_id == bindparam("user"))
_MESSAGES = (
    select(messages.c.id, messages.c.session_id)
    .join(sessions, sessions.c.id == messages.c.session_id)
    .where(sessions.c.user_id == bindparam("user"))
    .limit(BATCH)
)
_SESSIONS = select(sessions.c.id).where(sessions.c.user_id == bindparam("user")).limit(10 * BATCH)
_DELETE_SESSIONS = delete(sessions).where(sessions.c.id.in_(bindparam("ids", expanding=True)))
_OTHERS = {
    table.name: delete(table).where(table.c.user_id == bindparam("user"))
    for table in (idempotency_keys, devices, templates, token_usage)
}
_ANONYMOUS_KEYS = (
    update(api_keys)
    .where(api_keys.c.user_id == bindparam("user"))
    .values(
        user_id=ERASED,
        name="",
        revoked_at=func.coalesce(api_keys.c.revoked_at, bindparam("now", type_=api_keys.c.revoked_at.type)),
    )
)


class Step(NamedTuple):
    """Rows that were erased, by kind. more: there may be further ones."""

    rows: dict[str, int]
    more: bool


def _erase(connection: Connection, wanted: Sequence[tuple[str, datetime]]) -> list[Step | Conflict]:
    return [_erase_some(connection, storable(user), now) for user, now in wanted]


def _erase_some(connection: Connection, user: str, now: datetime) -> Step | Conflict:
    given = {"user": user}
    if running := connection.scalar(_RUNNING, given):
        return Conflict(
            f"{running} replies of {user} are running: stop them or wait, then erase {user} again."
        )
    if found := connection.execute(_MESSAGES, given).all():
        removed = remove_messages(connection, [row.id for row in found], {row.session_id for row in found})
        return Step({"messages": removed.messages}, True)
    if ids := connection.scalars(_SESSIONS, given).all():
        connection.execute(_DELETE_SESSIONS, {"ids": ids})
        count_deleted(connection, sessions=len(ids))
        return Step({"sessions": len(ids)}, True)
    rows = {name: connection.execute(statement, given).rowcount for name, statement in _OTHERS.items()}
    rows["api_keys"] = connection.execute(_ANONYMOUS_KEYS, given | {"now": now}).rowcount
    return Step(rows, False)


_ERASE = Write[tuple[str, datetime], Step](_erase, rank=8)


async def erase_user(writer: Writer, user_id: str, now: datetime) -> dict[str, int]:
    """Erase a user's rows in small batches, and return their numbers by kind. Keys are revoked, and their
    rows stay without user and name.

    Raises Conflict if replies of the user are running; what was erased until then stays erased.
    """
    total = dict.fromkeys(("sessions", "messages", *_OTHERS, "api_keys"), 0)
    while True:
        step = await writer.do(_ERASE, (user_id, now))
        for kind, rows in step.rows.items():
            total[kind] += rows
        if not step.more:
            return total
