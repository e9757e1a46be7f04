"""Reads from the database which gateway makes a running reply."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.reply_owners import ReplyOwner
from gateway.store.tables import gateways, messages

Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class SqlReplyOwners:
    """Implements gateway.contract.reply_owners.ReplyOwners. owner: this gateway, as in its replies' rows."""

    def __init__(self, reading: Reading, owner: str) -> None:
        self._reading = reading
        self.owner = owner

    async def of_reply(self, stream_id: str) -> ReplyOwner | None:
        return await self._latest(messages.c.stream_id == stream_id)

    async def in_session(self, session_id: int) -> ReplyOwner | None:
        return await self._latest(messages.c.session_id == session_id)

    async def _latest(self, these: ColumnElement[bool]) -> ReplyOwner | None:
        running = (
            select(messages.c.owner, gateways.c.internal_url)
            .outerjoin(gateways, gateways.c.owner == messages.c.owner)
            .where(these, messages.c.status == "streaming")
            .order_by(messages.c.id.desc())
            .limit(1)
        )
        async with self._reading() as connection:
            row = (await connection.execute(running)).first()
        if row is None:
            return None
        return ReplyOwner(row.owner or "", row.internal_url, row.owner == self.owner)
