"""Threads find the session of a question without a given session, such as a device's."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Text, bindparam, cast, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.exchanges import NewExchange
from gateway.contract.record import replace
from gateway.contract.store import StoredSession
from gateway.contract.threads import thread_since
from gateway.store.columns import storable
from gateway.store.rows import stored_session
from gateway.store.statements import Statement
from gateway.store.tables import sessions

# SQLAlchemy requires names of bound values in UPDATE to differ from column names.
_SELECT_LATEST = (
    select(sessions)
    .where(
        sessions.c.user_id == bindparam("whose"),
        sessions.c.thread == bindparam("wanted"),
        sessions.c.updated_at > bindparam("since"),
    )
    .order_by(sessions.c.updated_at.desc(), sessions.c.id.desc())
    .limit(1)
)
# Numbers that stand in the text: SQLAlchemy would bind them, also an OFFSET of its own.
_SELECT_LATEST_ID = Statement(
    _SELECT_LATEST.with_only_columns(sessions.c.id).limit(literal_column("1")).offset(literal_column("0"))
)
_LOCK = Statement(
    select(
        cast(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), literal_column("0"))), Text)
    )
)
_TAKE = Statement(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"), sessions.c.thread.is_(None))
    .values(thread=bindparam("wanted"))
)


def gone_on(connection: Connection, wanted: Sequence[NewExchange], now: datetime) -> Sequence[NewExchange]:
    """Return the exchanges, with `session_id` set for those whose thread has a session."""
    if all(exchange.thread is None or exchange.session_id is not None for exchange in wanted):
        return wanted
    _lock(connection, wanted)
    return [
        replace(exchange, session_id=_latest_id(connection, exchange.user_id, exchange.thread, now))
        if exchange.thread is not None and exchange.session_id is None
        else exchange
        for exchange in wanted
    ]


def _lock(connection: Connection, wanted: Sequence[NewExchange]) -> None:
    """Let first questions of other gateways in these threads wait: otherwise each would get a session."""
    if connection.dialect.name != "postgresql":
        return
    names = {f"{exchange.user_id}/{exchange.thread}" for exchange in wanted if exchange.thread is not None}
    # In the same order in all processes, which prevents deadlocks.
    _LOCK.rows(connection, [{"name": storable(name)} for name in sorted(names)])


def take(connection: Connection, accepted: Sequence[NewExchange]) -> None:
    """Set the thread of sessions without one to that of their exchange."""
    rows = [
        {"session_id": exchange.session_id, "wanted": exchange.thread}
        for exchange in accepted
        if exchange.thread is not None and exchange.session_id is not None
    ]
    if rows:
        _TAKE.run(connection, rows)


async def latest_session(
    connection: AsyncConnection, user_id: str, thread: str, now: datetime
) -> StoredSession | None:
    row = (await connection.execute(_SELECT_LATEST, _sought(user_id, thread, now))).first()
    return None if row is None else stored_session(row)


def _latest_id(connection: Connection, user_id: str, thread: str, now: datetime) -> int | None:
    row = _SELECT_LATEST_ID.row(connection, _sought(user_id, thread, now))
    return None if row is None else int(row[0])


def _sought(user_id: str, thread: str, now: datetime) -> dict[str, object]:
    return {"whose": user_id, "wanted": thread, "since": thread_since(thread, now)}
