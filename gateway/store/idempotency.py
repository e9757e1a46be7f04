"""Stores idempotency keys: each belongs to one exchange of its user for KEY_LIFE."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.exchanges import ClaimedStream, Exchange, NewExchange
from gateway.store.columns import storable
from gateway.store.statements import Statement
from gateway.store.tables import idempotency_keys, messages

KEY_LIFE = timedelta(hours=24)

_SELECT_USED = Statement(
    select(idempotency_keys.c.id).where(
        idempotency_keys.c.user_id == bindparam("whose"), idempotency_keys.c.key == bindparam("claimed")
    )
)
_INSERT = Statement(insert(idempotency_keys), ("user_id", "key", "fingerprint", "message_id", "created_at"))
_DELETE_OLD = Statement(
    delete(idempotency_keys).where(idempotency_keys.c.created_at <= bindparam("long_ago"))
)


def forget_old(connection: Connection, now: datetime) -> None:
    """Delete keys older than KEY_LIFE, so that they can be used again."""
    _DELETE_OLD.run(connection, [{"long_ago": now - KEY_LIFE}])


def used(connection: Connection, wanted: Sequence[NewExchange], now: datetime) -> set[tuple[str, str]]:
    """Return those (user id, key) of the exchanges that were used before."""
    claims = [
        (storable(exchange.user_id), storable(exchange.idempotency.key))
        for exchange in wanted
        if exchange.idempotency is not None
    ]
    if not claims:
        return set()
    forget_old(connection, now)
    return {
        (user_id, key)
        for user_id, key in claims
        if _SELECT_USED.row(connection, {"whose": user_id, "claimed": key}) is not None
    }


def claim(
    connection: Connection, accepted: Sequence[NewExchange], begun: Sequence[Exchange], now: datetime
) -> None:
    """Store the keys of these exchanges; the database refuses a key that another process used meanwhile."""
    rows: list[dict[str, Any]] = [
        {
            "user_id": exchange.user_id,
            "key": exchange.idempotency.key,
            "fingerprint": exchange.idempotency.fingerprint,
            "message_id": saved.assistant_message_id,
            "created_at": now,
        }
        for exchange, saved in zip(accepted, begun, strict=True)
        if exchange.idempotency is not None
    ]
    if rows:
        # In the same order in all processes, which prevents deadlocks.
        _INSERT.run(connection, sorted(rows, key=lambda row: (row["user_id"], row["key"])))


async def claimed_stream(
    connection: AsyncConnection, user_id: str, key: str, now: datetime
) -> ClaimedStream | None:
    row = (
        await connection.execute(
            select(idempotency_keys.c.fingerprint, messages.c.stream_id)
            .join(messages, messages.c.id == idempotency_keys.c.message_id)
            .where(
                idempotency_keys.c.user_id == user_id,
                idempotency_keys.c.key == key,
                idempotency_keys.c.created_at > now - KEY_LIFE,
            )
        )
    ).first()
    return None if row is None else ClaimedStream(row.fingerprint, row.stream_id)
