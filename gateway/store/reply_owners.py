"""Reads from the database which gateway makes a running reply."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.gateways import DEAD_S
from gateway.contract.replies_elsewhere import RunningReply
from gateway.contract.reply_owners import ReplyElsewhere, ReplyOwner
from gateway.store.tables import STREAMING, gateways, messages, sessions

Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlReplyOwners:
    """Implements gateway.contract.reply_owners.ReplyOwners.

    Args:
        owner: this gateway, as in its replies' rows.
        now: aware.
    """

    def __init__(self, reading: Reading, owner: str, now: Callable[[], datetime]) -> None:
        self._reading = reading
        self._now = now
        self.owner = owner

    async def of_reply(self, stream_id: str) -> ReplyOwner | None:
        return await self._latest(messages.c.stream_id == stream_id)

    async def in_session(self, session_id: int) -> ReplyOwner | None:
        return await self._latest(messages.c.session_id == session_id)

    async def elsewhere(self, session_id: int) -> Sequence[RunningReply]:
        running = (
            select(messages.c.stream_id, messages.c.id, messages.c.parent_id)
            .where(
                messages.c.session_id == session_id,
                messages.c.status == "streaming",
                messages.c.owner != self.owner,
            )
            .order_by(messages.c.id)
        )
        async with self._reading() as connection:
            rows = (await connection.execute(running)).all()
        return [RunningReply(row.stream_id, row.id, row.parent_id or 0) for row in rows]

    async def busy(self, session_ids: Sequence[int]) -> Collection[int]:
        if not session_ids:
            return ()
        found = select(messages.c.session_id).where(
            STREAMING, messages.c.session_id.in_(session_ids), messages.c.owner != self.owner
        )
        async with self._reading() as connection:
            return set(await connection.scalars(found))

    async def all_elsewhere(
        self, limit: int, user_id: str | None = None, stream_id: str | None = None
    ) -> Sequence[ReplyElsewhere]:
        row = messages.c
        found = (
            select(
                *(row.stream_id, row.user_id, row.session_id, row.mode, row.created_at, row.owner),
                sessions.c.key,
                func.length(row.content).label("chars"),
            )
            .join(sessions, sessions.c.id == row.session_id)
            .where(STREAMING, row.owner != self.owner)
            .order_by(row.id)
            .limit(limit)
        )
        if user_id is not None:
            found = found.where(row.user_id == user_id)
        if stream_id is not None:
            found = found.where(row.stream_id == stream_id)
        async with self._reading() as connection:
            rows = (await connection.execute(found)).all()
        now = self._now()
        return [
            ReplyElsewhere(
                each.stream_id,
                each.user_id,
                each.session_id,
                each.key,
                each.mode,
                max(0.0, (now - each.created_at).total_seconds()),
                each.chars,
                each.owner.partition("/")[0],
            )
            for each in rows
        ]

    async def _latest(self, these: ColumnElement[bool]) -> ReplyOwner | None:
        alive_since = func.clock_timestamp() - timedelta(seconds=DEAD_S)
        running = (
            select(messages.c.owner, gateways.c.internal_url)
            .outerjoin(gateways, and_(gateways.c.owner == messages.c.owner, gateways.c.seen_at > alive_since))
            .where(these, messages.c.status == "streaming")
            .order_by(messages.c.id.desc())
            .limit(1)
        )
        async with self._reading() as connection:
            row = (await connection.execute(running)).first()
        if row is None:
            return None
        return ReplyOwner(row.owner or "", row.internal_url, row.owner == self.owner)
