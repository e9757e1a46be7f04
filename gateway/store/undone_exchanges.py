"""Deletes exchanges and notes whose caller has gone before it got them."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.contract.exchanges import Exchange
from gateway.store.continued_replies import close_again
from gateway.store.tables import messages, sessions
from gateway.store.usage import count_deleted
from gateway.store.writer import Write

_first = messages.alias()
# Messages stored after the deleted reply get the parent of the first deleted message.
_ADOPT_CHILDREN = (
    update(messages)
    .where(
        messages.c.session_id
        == select(_first.c.session_id).where(_first.c.id == bindparam("first_id")).scalar_subquery(),
        messages.c.parent_id == bindparam("reply_id"),
    )
    .values(
        parent_id=select(_first.c.parent_id).where(_first.c.id == bindparam("first_id")).scalar_subquery()
    )
)
_HAS_OTHER_REPLY = (
    select(messages.c.id)
    .where(
        messages.c.session_id == bindparam("this_session"),
        messages.c.parent_id == bindparam("question_id"),
        messages.c.id > bindparam("reply_id"),
    )
    .limit(1)
)
_DELETE_MESSAGES = delete(messages).where(messages.c.id.in_(bindparam("ids", expanding=True)))
_DELETE_EMPTY = delete(sessions).where(
    sessions.c.id == bindparam("session_id"),
    ~select(messages.c.id).where(messages.c.session_id == sessions.c.id).exists(),
)


def _take_back(connection: Connection, begun: Sequence[Exchange]) -> list[None]:
    """Delete these exchanges, their idempotency keys, and the sessions that were created for them.

    A question that has got another reply meanwhile stays. A reply that was continued is interrupted.
    """
    for exchange in begun:
        if exchange.continues:
            close_again(connection, exchange)
            continue
        ids = [exchange.assistant_message_id]
        if exchange.new_question and not _has_other_reply(connection, exchange):
            ids.insert(0, exchange.user_message_id)
        connection.execute(_ADOPT_CHILDREN, {"first_id": ids[0], "reply_id": ids[-1]})
        gone = connection.execute(_DELETE_MESSAGES, {"ids": ids}).rowcount
        sessions_gone = 0
        if exchange.opens_session:
            sessions_gone = connection.execute(_DELETE_EMPTY, {"session_id": exchange.session_id}).rowcount
        count_deleted(connection, messages=gone, sessions=sessions_gone)
    return [None] * len(begun)


def take_back_message(connection: Connection, id: int) -> None:
    """Delete one message; those after it follow the message before it."""
    connection.execute(_ADOPT_CHILDREN, {"first_id": id, "reply_id": id})
    gone = connection.execute(_DELETE_MESSAGES, {"ids": [id]}).rowcount
    count_deleted(connection, messages=gone, sessions=0)


def _has_other_reply(connection: Connection, exchange: Exchange) -> bool:
    values = {
        "this_session": exchange.session_id,
        "question_id": exchange.user_message_id,
        "reply_id": exchange.assistant_message_id,
    }
    return connection.execute(_HAS_OTHER_REPLY, values).first() is not None


# First of all kinds: a repeated request must find its idempotency key unused.
TAKE_BACK = Write[Exchange, None](_take_back, rank=-1)
