"""Reopens a stored reply for the gateway that continues it."""

from sqlalchemy import Connection, bindparam, exists, literal_column, update

from gateway.contract.continued import ReplySoFar
from gateway.contract.errors import Conflict
from gateway.contract.exchanges import Exchange, NewExchange
from gateway.store.branches import question_of
from gateway.store.new_messages import Place
from gateway.store.statements import Statement
from gateway.store.tables import STREAMING, messages

_followers = messages.alias()
_NO_END = ("reason", "error_code", "error_message", "error_retryable", "last_seq", "event_lengths")
_REOPEN = Statement(
    update(messages)
    .where(
        messages.c.id == bindparam("message_id"),
        messages.c.session_id == bindparam("this_session"),
        messages.c.epoch == bindparam("read_epoch"),
        messages.c.status != literal_column("'streaming'"),
        ~exists().where(
            _followers.c.session_id == bindparam("this_session"),
            _followers.c.parent_id == bindparam("message_id"),
        ),
    )
    .values(
        {name: literal_column("NULL") for name in _NO_END}
        | {
            "status": literal_column("'streaming'"),
            "owner": bindparam("my_name"),
            "epoch": messages.c.epoch + literal_column("1"),
            "mode": bindparam("new_mode"),
            "delivery": bindparam("new_delivery"),
            "handle": bindparam("new_handle", type_=messages.c.handle.type),
            "continued": bindparam("new_places", type_=messages.c.continued.type),
        }
    )
    .returning(messages.c.id)
)
_CLOSE = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"), messages.c.epoch == bindparam("my_epoch"), STREAMING)
    .values(status="interrupted", reason="interrupted")
)


def reopen(connection: Connection, exchange: NewExchange, owner: str) -> Conflict | None:
    """Reopen the reply that the exchange continues, if it does; return the refusal if that is impossible."""
    reply = exchange.continues
    if reply is None:
        return None
    values = {
        "message_id": reply.message_id,
        "this_session": exchange.session_id,
        "read_epoch": reply.epoch,
        "my_name": owner,
        "new_mode": exchange.mode,
        "new_delivery": exchange.delivery,
        "new_handle": exchange.handle,
        "new_places": [[place.seq, place.chars] for place in reply.places],
    }
    if _REOPEN.row(connection, values) is not None:
        return None
    return Conflict("This reply cannot be continued: it goes on already, or another message follows it.")


def continued_exchange(connection: Connection, reply: ReplySoFar, place: Place) -> Exchange:
    return Exchange(
        session_id=place.id,
        session_key=place.key,
        session_uuid=place.uuid,
        user_message_id=question_of(connection, reply.message_id),
        assistant_message_id=reply.message_id,
        assistant_message_uuid=reply.uuid,
        opens_session=False,
        epoch=reply.epoch + 1,
        new_question=False,
        continues=True,
    )


def close_again(connection: Connection, exchange: Exchange) -> None:
    """Mark a reopened reply as interrupted, since nobody continues it."""
    connection.execute(_CLOSE, {"message_id": exchange.assistant_message_id, "my_epoch": exchange.epoch})
