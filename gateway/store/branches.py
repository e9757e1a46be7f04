"""Finds the parent of a new exchange, and the messages of a session that are on one path of its tree."""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from gateway.contract.branches import FIRST, Branch, Spot
from gateway.contract.exchanges import NewExchange
from gateway.store.columns import storable
from gateway.store.parts import EncodedExchange
from gateway.store.statements import Statement
from gateway.store.tables import messages, sessions

MAX_CHAIN = 1000
"""Replies after a reply that are searched for its continuations."""

RETRY_IDS = 200
"""A question that is sent again is found if fewer messages were stored since, in all sessions."""

MAX_AGE_IDS = 100_000
"""A message is found by its uuid or text only if fewer messages were stored since, in all sessions."""


_IN_SESSION = messages.c.session_id == bindparam("session_id")
# Literals in the SQL text: a Statement binds only named values.
_IS_QUESTION = messages.c.role == literal_column("'user'")
_IS_REPLY = messages.c.role == literal_column("'assistant'")
_LATEST_ID = func.max(messages.c.id)
_REPLY = Statement(
    select(_LATEST_ID).where(
        _IN_SESSION,
        messages.c.id > bindparam("floor"),
        _IS_REPLY,
        or_(messages.c.uuid == bindparam("name"), messages.c.stream_id == bindparam("name")),
    )
)
_REPLIES_AFTER = Statement(
    select(messages.c.id, messages.c.parent_id)
    .where(_IN_SESSION, messages.c.id > bindparam("reply_id"), _IS_REPLY)
    .order_by(messages.c.id)
    .limit(literal_column(str(MAX_CHAIN)))
    .offset(literal_column("0"))
)


def _same_question(*where: ColumnElement[bool]) -> dict[bool, Statement]:
    """Return statements that find the latest question with this content: with attachments, and without."""
    same = select(_LATEST_ID).where(
        _IN_SESSION, _IS_QUESTION, messages.c.content == bindparam("content"), *where
    )
    return {
        True: Statement(same.where(messages.c.parts == bindparam("parts"))),
        False: Statement(same.where(messages.c.parts.is_(None))),
    }


_AMONG_CHILDREN = _same_question(
    messages.c.id > bindparam("parent_id"), messages.c.parent_id == bindparam("parent_id")
)
_AT_THE_ROOT = _same_question(messages.c.parent_id.is_(None))
_RECENT = _same_question(messages.c.id > bindparam("floor"))
_CHOSEN_IN = sessions.alias()
_LATER = messages.alias()
_LATEST_COMPLETE = (
    select(func.coalesce(func.max(_LATER.c.id), bindparam("retry_floor")))
    .where(
        _LATER.c.session_id == bindparam("session_id"),
        _LATER.c.id > bindparam("retry_floor"),
        _LATER.c.role == literal_column("'assistant'"),
        _LATER.c.status == literal_column("'complete'"),
    )
    .scalar_subquery()
)
_RUNNING_REPLY = exists().where(
    _LATER.c.session_id == bindparam("session_id"),
    _LATER.c.parent_id == messages.c.id,
    _LATER.c.id > messages.c.id,
    _LATER.c.status == literal_column("'streaming'"),
)
_THERE = Statement(select(messages.c.id).where(_IN_SESSION, messages.c.id == bindparam("wanted_id")))
_IN_VAIN = _same_question(messages.c.id > _LATEST_COMPLETE, ~_RUNNING_REPLY)


def spot_of(connection: Connection, exchange: NewExchange, session_id: int, last_id: int) -> Spot:
    """Return the place of an exchange in a session with messages. last_id: of the branch that it shows."""
    branch = exchange.branch
    if branch is None:
        return Spot(last_id)
    if isinstance(branch, Spot):
        return branch
    where = {"session_id": session_id, "floor": last_id - MAX_AGE_IDS}
    reply_id = _reply_id(connection, branch, where)
    if reply_id is not None:
        end = _end_of_chain(connection, session_id, reply_id)
        if branch.asked == "answered":
            return Spot(end, question_of(connection, reply_id))
        found = _same(connection, exchange, _AMONG_CHILDREN, where | {"parent_id": end})
        return Spot(end) if found is None else Spot(found, found)
    if branch.after == FIRST and branch.asked != "answered":
        found = _same(connection, exchange, _AT_THE_ROOT, where)
        if found is not None:
            return Spot(found, found)
        return Spot(None if branch.asked == "again" else last_id)
    if branch.asked == "now":
        found = None
        if branch.after is None:
            found = _same(connection, exchange, _IN_VAIN, where | {"retry_floor": last_id - RETRY_IDS})
        return Spot(last_id) if found is None else Spot(found, found)
    found = _same(connection, exchange, _RECENT, where)
    if found is None:
        return Spot(last_id)
    if branch.asked == "again":
        return Spot(found, found)
    return Spot(_end_of_chain(connection, session_id, found), found)


def is_lost(connection: Connection, exchange: NewExchange) -> bool:
    """Return whether the Spot of the exchange names a message that is not in its session."""
    spot = exchange.branch
    if not isinstance(spot, Spot):
        return False
    ids = {id for id in spot if id is not None}
    return not all(_THERE.row(connection, {"session_id": exchange.session_id, "wanted_id": id}) for id in ids)


def _reply_id(connection: Connection, branch: Branch, where: dict[str, Any]) -> int | None:
    if not branch.after:
        return None
    found: int | None = _REPLY.row(connection, where | {"name": branch.after})[0]
    return found


def _end_of_chain(connection: Connection, session_id: int, first_id: int) -> int:
    """Return the latest of the replies that continue this message, one after the other; else the message."""
    chain = {first_id}
    after = {"session_id": session_id, "reply_id": first_id}
    for reply_id, parent_id in _REPLIES_AFTER.rows(connection, [after]):
        if parent_id in chain:
            chain.add(reply_id)
    return max(chain)


def _same(
    connection: Connection, exchange: NewExchange, among: dict[bool, Statement], where: dict[str, Any]
) -> int | None:
    parts = exchange.parts if isinstance(exchange, EncodedExchange) else None
    content = storable(exchange.content if isinstance(exchange.content, str) else "")
    values = where | {"content": content, "parts": parts}
    found: int | None = among[parts is not None].row(connection, values)[0]
    return found


def question_above(this: ColumnElement[bool]) -> Select[Any]:
    """Select the id of the question at or above the message that `this` selects."""
    columns = (messages.c.id, messages.c.parent_id, messages.c.role)
    start = select(*columns).where(this).cte("above", recursive=True)
    step = select(*columns).join(start, messages.c.id == start.c.parent_id).where(start.c.role == "assistant")
    above = start.union_all(step)
    return select(above.c.id).where(above.c.role == "user").limit(1)


_QUESTION_OF = question_above(messages.c.id == bindparam("reply_id"))


def question_of(connection: Connection, reply_id: int) -> int:
    """Return the id of the question that the reply answers, also if it continues another reply."""
    found = connection.execute(_QUESTION_OF, {"reply_id": reply_id}).scalar()
    return reply_id if found is None else int(found)


def shown_path(session_id: int) -> CTE:
    """Return the ids of the messages on the branch that the session shows."""
    return path_up_from(leaf_of(literal(session_id)))


def leaf_of(session_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the id of the last message of the branch that the session shows."""
    chosen = (
        select(messages.c.id)
        .join(_CHOSEN_IN, _CHOSEN_IN.c.leaf_id == messages.c.id)
        .where(_CHOSEN_IN.c.id == session_id)
        .scalar_subquery()
    )
    return func.coalesce(chosen, latest_in(session_id))


def latest_in(session_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the id of the session's latest message."""
    return select(_LATEST_ID).where(messages.c.session_id == session_id).scalar_subquery()


def path_up_from(first_id: ColumnElement[Any], most: int | None = None) -> CTE:
    """Return the ids of a message and of those above it, if `most` is given at most so many."""
    columns = (messages.c.id, messages.c.parent_id)
    start = (
        select(*columns, literal(1).label("depth"))
        .where(messages.c.id == first_id)
        .cte("path", recursive=True)
    )
    step = select(*columns, start.c.depth + 1).join(start, messages.c.id == start.c.parent_id)
    return start.union_all(step if most is None else step.where(start.c.depth < most))
