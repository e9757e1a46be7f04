"""Counts usage and deletions in the transaction that causes them, and implements the UsageStore."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Executable, Insert, Row, Table, bindparam, func, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.events import Usage
from gateway.contract.exchanges import FinalReply
from gateway.contract.usage import Figures, UsedTokens, Writes
from gateway.store.columns import storable
from gateway.store.statements import Statement, upsert
from gateway.store.tables import deleted, messages, token_usage
from gateway.store.writer import Write, Writer

LATEST = 100
"""Number of replies for the means."""

LARGEST_SUM = 2**53 - 1

_LOOKED_AT = 10 * LATEST
"""Number of the latest rows searched for them: if most replies fail, the whole table is not read."""

_COUNTS = ("replies", "tool_calls", "prompt_tokens", "completion_tokens", "total_tokens")


def _adding(table: Table, *counts: str) -> Statement:
    """Return a statement that inserts a row, or adds its counts to those of the existing row."""

    def add(new: sqlite.Insert | postgresql.Insert) -> Insert:
        sums = {count: table.c[count] + new.excluded[count] for count in counts}
        return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums)

    return Statement(upsert(table, add), table.c.keys())


_ADD_USED = _adding(token_usage, *_COUNTS)
_ADD_DELETED = _adding(deleted, "rows")


def count_ended(connection: Connection, ended: Iterable[tuple[str, str, FinalReply]]) -> None:
    """Add the usage of replies. `ended` has user id, day as `2026-01-31`, and reply."""
    used: dict[tuple[str, str, str], list[int]] = {}
    for user_id, day, reply in ended:
        counts = used.setdefault((user_id, day, storable(reply.model or "")), [0] * len(_COUNTS))
        counts[0] += 1
        counts[1] += len(reply.tool_calls)
        if (usage := reply.usage) is not None and reply.delivery != "cached":  # counted when generated
            before = reply.counted or Usage(0, 0, 0)
            counts[2] += usage.prompt_tokens - before.prompt_tokens
            counts[3] += usage.completion_tokens - before.completion_tokens
            counts[4] += usage.total_tokens - before.total_tokens
    _add_used(connection, used)


def _count_embeddings(connection: Connection, counted: Sequence[tuple[str, str, str, int]]) -> list[None]:
    used: dict[tuple[str, str, str], list[int]] = {}
    for *key, tokens in counted:
        counts = used.setdefault((key[0], key[1], key[2]), [0] * len(_COUNTS))
        counts[2] += tokens
        counts[4] += tokens
    _add_used(connection, used)
    return [None] * len(counted)


def _add_used(connection: Connection, used: Mapping[tuple[str, str, str], Sequence[int]]) -> None:
    """Add counts, in the order of _COUNTS, by user id, day and model."""
    if used:
        # In the same order in all processes, which prevents deadlocks.
        columns = token_usage.c.keys()
        rows = [dict(zip(columns, (*key, *counts), strict=True)) for key, counts in sorted(used.items())]
        _ADD_USED.run(connection, rows)


# Payload: user id, day, model, and tokens.
_COUNT_EMBEDDINGS = Write[tuple[str, str, str, int], None](_count_embeddings, rank=8)


def count_deleted(connection: Connection, **rows: int) -> None:
    """Add numbers of deleted rows, by table name."""
    _ADD_DELETED.run(connection, [{"name": name, "rows": count} for name, count in sorted(rows.items())])


_ORDER = (token_usage.c.day, token_usage.c.user_id, token_usage.c.model)
_BETWEEN = (
    select(token_usage)
    .where(
        token_usage.c.day.between(bindparam("first"), bindparam("last")),
        tuple_(*_ORDER) > tuple_(*map(bindparam, ("after_day", "after_user", "after_model"))),
    )
    .order_by(*_ORDER)
    .limit(bindparam("most"))
)
_ONE_USERS = _BETWEEN.where(token_usage.c.user_id == bindparam("whose"))
_TODAY = select(
    func.coalesce(func.sum(token_usage.c.replies), 0), func.coalesce(func.sum(token_usage.c.tool_calls), 0)
).where(token_usage.c.day == bindparam("today"))
_latest = (
    select(messages.c.response_ms, messages.c.ttft_ms, messages.c.tokens_per_s)
    .where(
        messages.c.id > select(func.max(messages.c.id)).scalar_subquery() - _LOOKED_AT,
        messages.c.role == "assistant",
        messages.c.origin.is_(None),
        messages.c.status == "complete",
        messages.c.delivery.is_distinct_from("cached"),  # whose times are not the model's
    )
    .order_by(messages.c.id.desc())
    .limit(LATEST)
    .subquery()
)
_MEANS = select(
    func.coalesce(func.avg(_latest.c.response_ms), 0.0),
    func.coalesce(func.avg(_latest.c.ttft_ms), 0.0),
    func.coalesce(func.avg(_latest.c.tokens_per_s), 0.0),
)
_DELETED = select(deleted.c.name, deleted.c.rows)
# The last id of each table. PostgreSQL's is greater by the number of rolled back rows.
_MADE = {
    "sqlite": text("SELECT name, seq FROM sqlite_sequence WHERE name IN ('messages', 'sessions')"),
    "postgresql": text(
        "SELECT 'messages', CASE WHEN is_called THEN last_value ELSE 0 END FROM messages_id_seq "
        "UNION ALL SELECT 'sessions', CASE WHEN is_called THEN last_value ELSE 0 END FROM sessions_id_seq"
    ),
}
_SIZE = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


class SqlUsage:
    """Implements gateway.contract.usage.UsageStore. `reading` yields a connection; `clock` is aware."""

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock

    async def between(
        self,
        first: date,
        last: date,
        user_id: str | None,
        *,
        after: UsedTokens | None = None,
        limit: int = 1000,
    ) -> Sequence[UsedTokens]:
        wanted: dict[str, str | int] = {
            "first": first.isoformat(),
            "last": last.isoformat(),
            "after_day": "" if after is None else after.day.isoformat(),
            "after_user": "" if after is None else storable(after.user_id),
            "after_model": "" if after is None else storable(after.model or ""),
            "most": limit,
        }
        statement = _BETWEEN
        if user_id is not None:
            statement = _ONE_USERS
            wanted["whose"] = user_id
        async with self._reading() as connection:
            return [_used(row) for row in await connection.execute(statement, wanted)]

    async def count_embeddings(self, user_id: str, model: str | None, tokens: int) -> None:
        today = self._clock().date().isoformat()
        payload = (storable(user_id), today, storable(model or ""), min(tokens, LARGEST_SUM))
        await self._writer.do(_COUNT_EMBEDDINGS, payload)

    async def figures(self) -> Figures:
        async with self._reading() as connection:
            database = connection.dialect.name
            made = await _counts(connection, _MADE[database])
            gone = await _counts(connection, _DELETED)
            replies, calls = (
                await connection.execute(_TODAY, {"today": self._clock().date().isoformat()})
            ).one()
            response_ms, ttft_ms, tokens_per_s = (await connection.execute(_MEANS)).one()
            size = await size_of(connection)
        return Figures(
            messages=made.get("messages", 0) - gone.get("messages", 0),
            sessions=made.get("sessions", 0) - gone.get("sessions", 0),
            replies_today=int(replies),
            tool_calls_today=int(calls),
            database_bytes=size,
            response_ms=response_ms,
            ttft_ms=ttft_ms,
            tokens_per_s=tokens_per_s,
        )

    async def database_bytes(self) -> int:
        async with self._reading() as connection:
            return await size_of(connection)

    def writes(self) -> Writes:
        return Writes(len(self._writer), *self._writer.waited)


async def size_of(connection: AsyncConnection) -> int:
    """Return the size of the database in bytes."""
    return int(await connection.scalar(_SIZE[connection.dialect.name]) or 0)


async def _counts(connection: AsyncConnection, statement: Executable) -> dict[str, int]:
    rows = (await connection.execute(statement)).all()
    return {row[0]: row[1] for row in rows}


def _used(row: Row[Any]) -> UsedTokens:
    return UsedTokens(
        day=date.fromisoformat(row.day),
        user_id=row.user_id,
        model=row.model or None,
        replies=row.replies,
        prompt_tokens=_sum(row.prompt_tokens),
        completion_tokens=_sum(row.completion_tokens),
        total_tokens=_sum(row.total_tokens),
    )


def _sum(tokens: float) -> int:
    """Return an integer that every JSON parser accepts. SQLite returns a float for a sum beyond 64 bits."""
    return int(min(max(tokens, 0), LARGEST_SUM))
