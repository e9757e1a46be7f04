"""The DeletionStore in a SQL database."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.audit import Actor
from gateway.contract.deletions import Forgotten
from gateway.store.attachments import DELETE_OLD_ATTACHMENTS
from gateway.store.audit import FORGET
from gateway.store.erasure import erase_user
from gateway.store.removal import REMOVE_EMPTY, REMOVE_OLD, TRIM, Age, Removed, Trim
from gateway.store.tables import messages, sessions
from gateway.store.writer import Write, Writer

P = TypeVar("P")

PAUSE_S = 0.05
"""Between two batches: they take less than half of the writer's time."""

WALK = 500
"""Sessions looked at in one read."""

_SESSIONS = (
    select(sessions.c.id).where(sessions.c.id > bindparam("after")).order_by(sessions.c.id).limit(WALK)
)
_TOO_LONG = (
    select(messages.c.session_id)
    .where(messages.c.session_id.between(bindparam("first"), bindparam("last")))
    .group_by(messages.c.session_id)
    .having(func.count() > bindparam("keep"))
)


class SqlDeletions:
    """Implements gateway.contract.deletions.DeletionStore. `clock` is aware."""

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock

    async def erase_user(self, user_id: str, by: Actor | None = None) -> Mapping[str, int]:
        return await erase_user(self._writer, user_id, self._clock(), by)

    async def forget_changes(self, before: datetime) -> int:
        total = 0
        while gone := await self._writer.do(FORGET, before):
            total += gone
            await asyncio.sleep(PAUSE_S)
        return total

    async def forget(self, *, before: datetime | None, keep: int) -> Forgotten:
        gone = Forgotten(0, 0)
        if before is not None:
            gone += await self._all(REMOVE_OLD, Age(before, self._clock()))
            await self._writer.do(DELETE_OLD_ATTACHMENTS, before)
        after = 0
        while ids := await self._sessions(after):
            after = ids[-1]
            if before is not None:
                removed = await self._writer.do(REMOVE_EMPTY, (ids, before))
                gone += Forgotten(*removed)
            for session_id in await self._too_long(ids, keep) if keep else ():
                gone += await self._all(TRIM, Trim(session_id, keep))
            await asyncio.sleep(PAUSE_S)
        return gone

    async def _all(self, write: Write[P, Removed], payload: P) -> Forgotten:
        """Repeat the change until it finds no more messages."""
        gone = Forgotten(0, 0)
        while True:
            removed = await self._writer.do(write, payload)
            gone += Forgotten(*removed)
            if not removed.messages:
                return gone
            await asyncio.sleep(PAUSE_S)

    async def _sessions(self, after: int) -> list[int]:
        async with self._reading() as connection:
            return [row.id for row in await connection.execute(_SESSIONS, {"after": after})]

    async def _too_long(self, ids: list[int], keep: int) -> list[int]:
        wanted = {"first": ids[0], "last": ids[-1], "keep": keep}
        async with self._reading() as connection:
            return [row.session_id for row in await connection.execute(_TOO_LONG, wanted)]
