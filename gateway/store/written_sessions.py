"""Finds, locks and changes the sessions that new messages are written into."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, case, literal_column, select, update

from gateway.store.branches import leaf_of
from gateway.store.new_messages import Place
from gateway.store.new_sessions import MAX_TITLE_CHARS
from gateway.store.statements import Statement
from gateway.store.tables import sessions


class Found(NamedTuple):
    """An existing session, its owner, and the id of the last message that it shows."""

    place: Place
    owner: str
    last_id: int | None


class Touch(NamedTuple):
    """A session that got a message. title: if it has none. leaf_id: to show; None: the latest message."""

    session_id: int
    title: str
    leaf_id: int | None = None


_LAST_ID = leaf_of(sessions.c.id)
_SELECT = Statement(
    select(sessions.c.id, sessions.c.key, sessions.c.uuid, sessions.c.user_id, _LAST_ID).where(
        sessions.c.id == bindparam("session_id")
    )
)
_LOCK = Statement(select(sessions.c.id).where(sessions.c.id == bindparam("session_id")).with_for_update())

_UNTITLED = sessions.c.title == literal_column("''")
_NEW_TITLE = bindparam("new_title", type_=sessions.c.title.type)
_NEW_FOLDED = bindparam("new_folded", type_=sessions.c.title_folded.type)
_TOUCH = Statement(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(
        updated_at=bindparam("now"),
        leaf_id=bindparam("leaf"),
        title=case((_UNTITLED, _NEW_TITLE), else_=sessions.c.title),
        title_folded=case((_UNTITLED, _NEW_FOLDED), else_=sessions.c.title_folded),
    )
)


def found_and_locked(connection: Connection, ids: Iterable[int]) -> dict[int, Found]:
    """Return those of the sessions that exist, by id. Messages of other gateways in them wait."""
    ids = sorted(set(ids))
    if not ids:
        return {}
    if connection.dialect.name == "postgresql":
        # The order is the same everywhere, which prevents deadlocks.
        _LOCK.rows(connection, [{"session_id": id} for id in ids])
    found = _SELECT.rows(connection, [{"session_id": id} for id in ids])
    return {row[0]: Found(Place(*row[:3]), *row[3:]) for row in found}


def touch(connection: Connection, touched: Sequence[Touch], now: datetime) -> None:
    """Set the sessions' last activity, their title if they have none, and the branch that they show."""
    rows = [
        {
            "session_id": session_id,
            "now": now,
            "leaf": leaf_id,
            "new_title": title[:MAX_TITLE_CHARS],
            "new_folded": title[:MAX_TITLE_CHARS].casefold(),
        }
        # In the same order in all processes, which prevents deadlocks.
        for session_id, title, leaf_id in sorted(touched, key=lambda each: each.session_id)
    ]
    if rows:
        _TOUCH.run(connection, rows)
