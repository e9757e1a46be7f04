"""Erases all that belongs to one user."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.contract.audit import Actor, Change
from gateway.contract.errors import Conflict
from gateway.store.audit import log_change, record_change
from gateway.store.columns import storable
from gateway.store.removal import BATCH, remove_messages
from gateway.store.tables import (
    STREAMING,
    api_keys,
    attachments,
    devices,
    idempotency_keys,
    messages,
    room_members,
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
    for table in (idempotency_keys, devices, templates, token_usage, attachments)
}
_OTHERS["room_members"] = delete(room_members).where(
    room_members.c.kind == "user", room_members.c.name == bindparam("user")
)
_ANONYMOUS_KEYS = (
    update(api_keys)
    .where(api_keys.c.user_id == bindparam("user"))
    .values(
        user_id=ERASED,
        name="",
        revoked_at=func.coalesce(api_keys.c.revoked_at, bindparam("now", type_=api_keys.c.revoked_at.type)),
    )
)


class Erasure(NamedTuple):
    """A user to erase. by: the author, for the audit log. rows: those of earlier batches, by kind."""

    user: str
    now: datetime
    by: Actor | None
    rows: Mapping[str, int]


class Step(NamedTuple):
    """Rows that were erased, by kind. more: there may be further ones. change: the entry that was made."""

    rows: Mapping[str, int]
    more: bool
    change: Change | None = None


def _erase(connection: Connection, wanted: Sequence[Erasure]) -> list[Step | Conflict]:
    return [_erase_and_record(connection, erasure) for erasure in wanted]


def _erase_and_record(connection: Connection, erasure: Erasure) -> Step | Conflict:
    """Erase some rows, with an entry in the audit log for the first and the last ones."""
    step = _erase_some(connection, storable(erasure.user), erasure.now)
    if isinstance(step, Conflict) or erasure.by is None:
        return step
    rows = _sum(erasure.rows, step.rows)
    if not any(rows.values()) or (step.more and any(erasure.rows.values())):
        return step
    state: dict[str, Any] = {"state": "begun"} if step.more else {"state": "done", **rows}
    change = Change(erasure.by, "user.erase", erasure.user, state)
    record_change(connection, change, erasure.now)
    return step._replace(change=change)


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


def _sum(*counts: Mapping[str, int]) -> dict[str, int]:
    """Return the sum for each kind of row."""
    kinds = ("sessions", "messages", *_OTHERS, "api_keys")
    return {kind: sum(each.get(kind, 0) for each in counts) for kind in kinds}


_ERASE = Write[Erasure, Step](_erase, rank=8, alone=True)


async def erase_user(writer: Writer, user_id: str, now: datetime, by: Actor | None) -> dict[str, int]:
    """See DeletionStore.erase_user."""
    rows = _sum()
    while True:
        step = await writer.do(_ERASE, Erasure(user_id, now, by, rows))
        rows = _sum(rows, step.rows)
        if step.change is not None:
            log_change(step.change)
        if not step.more:
            return rows
