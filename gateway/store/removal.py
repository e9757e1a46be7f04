"""Deletes messages and sessions in small batches, so that other changes are made in between."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, func, select, update

from gateway.store.tables import messages, sessions
from gateway.store.usage import count_deleted
from gateway.store.writer import Write

BATCH = 50
"""Messages deleted in one transaction. Each may have megabytes of attachments."""


class Removed(NamedTuple):
    messages: int = 0
    sessions: int = 0


class Age(NamedTuple):
    """before: time of the oldest messages that are kept."""

    before: datetime
    now: datetime


class Trim(NamedTuple):
    """A session, and the number of messages that it keeps."""

    session_id: int
    keep: int


_ids: BindParameter[int] = bindparam("ids", expanding=True)
_session_ids: BindParameter[int] = bindparam("session_ids", expanding=True)
_OLDEST = select(messages.c.id, messages.c.session_id, messages.c.created_at)
_OLDEST = _OLDEST.where(
    messages.c.created_at <= bindparam("now", type_=messages.c.created_at.type),
    messages.c.status != "streaming",
)
_OLDEST = _OLDEST.order_by(messages.c.id).limit(BATCH)
_ORPHAN_CHILDREN = (
    update(messages)
    .where(messages.c.session_id.in_(_session_ids), messages.c.parent_id.in_(_ids))
    .values(parent_id=None)
)
_DELETE_MESSAGES = delete(messages).where(messages.c.id.in_(_ids))
_DELETE_EMPTY = delete(sessions).where(
    sessions.c.id.in_(_session_ids),
    sessions.c.updated_at < bindparam("before"),
    ~select(messages.c.id).where(messages.c.session_id == sessions.c.id).exists(),
)


def remove_messages(connection: Connection, ids: Sequence[int], session_ids: Iterable[int]) -> Removed:
    """Delete messages of these sessions. Messages that followed them have no parent then."""
    if not ids:
        return Removed()
    given = {"ids": ids, "session_ids": list(session_ids)}
    connection.execute(_ORPHAN_CHILDREN, given)
    gone = connection.execute(_DELETE_MESSAGES, {"ids": ids}).rowcount
    count_deleted(connection, messages=gone)
    return Removed(messages=gone)


def _remove_old(connection: Connection, wanted: Sequence[Age]) -> list[Removed]:
    """Delete finished messages of before that moment among the first ones, and their sessions if those are
    empty then. Ids ascend with time, so that nothing is left if there are none: those that a wrong clock
    dated into the future do not count."""
    before = min(one.before for one in wanted)
    first = connection.execute(_OLDEST, {"now": max(one.now for one in wanted)})
    old = [row for row in first if row.created_at < before]
    session_ids = {row.session_id for row in old}
    removed = remove_messages(connection, [row.id for row in old], session_ids)
    emptied = _remove_empty_ones(connection, session_ids, before)
    return [Removed(removed.messages, emptied), *([Removed()] * (len(wanted) - 1))]


def _remove_empty(connection: Connection, wanted: Sequence[tuple[Sequence[int], datetime]]) -> list[Removed]:
    return [Removed(sessions=_remove_empty_ones(connection, ids, before)) for ids, before in wanted]


def _remove_empty_ones(connection: Connection, ids: Iterable[int], before: datetime) -> int:
    gone = connection.execute(_DELETE_EMPTY, {"session_ids": list(ids), "before": before}).rowcount
    if gone:
        count_deleted(connection, sessions=gone)
    return gone


def _trim(connection: Connection, wanted: Sequence[Trim]) -> list[Removed]:
    return [_trim_one(connection, *one) for one in wanted]


def _trim_one(connection: Connection, session_id: int, keep: int) -> Removed:
    """Delete the first messages beyond `keep`, at most BATCH. The rest begins with a question or a note,
    also if it is more than `keep` because the last question has so many replies."""
    in_session = messages.c.session_id == session_id
    ids = select(messages.c.id).where(in_session)
    newest_gone = connection.scalar(ids.order_by(messages.c.id.desc()).limit(1).offset(keep))
    if newest_gone is None:
        return Removed()
    beginnings = in_session & ((messages.c.role == "user") | messages.c.origin.is_not(None))
    first_kept = connection.scalar(_first(beginnings & (messages.c.id > newest_gone)))
    if first_kept is None:
        first_kept = connection.scalar(select(func.max(messages.c.id)).where(beginnings))
    if first_kept is None:
        return Removed()
    gone = ids.where(messages.c.id < first_kept, messages.c.status != "streaming")
    found = connection.scalars(gone.order_by(messages.c.id).limit(BATCH)).all()
    return remove_messages(connection, found, [session_id])


def _first(where: object) -> Select[tuple[int]]:
    return select(func.min(messages.c.id)).where(where)  # type: ignore[arg-type]


# Last of all kinds, after the changes that are waiting.
REMOVE_OLD = Write[Age, Removed](_remove_old, rank=8, alone=True)
REMOVE_EMPTY = Write[tuple[Sequence[int], datetime], Removed](_remove_empty, rank=8, alone=True)
TRIM = Write[Trim, Removed](_trim, rank=8, alone=True)
