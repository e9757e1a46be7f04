"""The AttachmentStore in a SQL database. The bytes are in the last column."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.attachments import StoredAttachment
from gateway.contract.errors import NotFound, QuotaReached
from gateway.contract.random_names import ordered_uuid
from gateway.store.attachment_table import attachments
from gateway.store.writer import Write, Writer

_TOLD = [column for column in attachments.c if column.name != "data"]
_OWNED = attachments.c.user_id == bindparam("owner")
_THIS = _OWNED & (attachments.c.uuid == bindparam("wanted"))
_SIZE = select(func.coalesce(func.sum(attachments.c.size), 0)).where(_OWNED)
_INSERT = insert(attachments).returning(*_TOLD)
_LATEST = select(*_TOLD).where(_OWNED).order_by(attachments.c.id.desc()).limit(bindparam("most"))
_ONE = select(attachments).where(_THIS)
_DELETE = delete(attachments).where(_THIS)
_DELETE_OLD = delete(attachments).where(attachments.c.created_at < bindparam("before"))


class _New(NamedTuple):
    user_id: str
    name: str
    media_type: str
    data: bytes
    now: datetime


def _delete(connection: Connection, wanted: Sequence[tuple[str, str]]) -> list[NotFound | None]:
    return [
        None if connection.execute(_DELETE, {"owner": user_id, "wanted": id}).rowcount else _missing()
        for user_id, id in wanted
    ]


def _delete_old(connection: Connection, limits: Sequence[datetime]) -> list[None]:
    connection.execute(_DELETE_OLD, {"before": min(limits)})
    return [None] * len(limits)


_DELETE_ATTACHMENT = Write[tuple[str, str], None](_delete, rank=0)
DELETE_OLD_ATTACHMENTS = Write[datetime, None](_delete_old, rank=8)


class SqlAttachments:
    """Implements gateway.contract.attachments.AttachmentStore.

    Args:
        reading: yields a connection.
        clock: returns the time, aware.
        max_bytes: of all attachments of a user.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
        max_bytes: int,
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock
        self._max_bytes = max_bytes
        self._add = Write[_New, StoredAttachment](self._insert, rank=0, needs_caller=True)

    async def add(self, user_id: str, name: str, media_type: str, data: bytes) -> StoredAttachment:
        return await self._writer.do(self._add, _New(user_id, name, media_type, data, self._clock()))

    async def all(self, user_id: str, *, limit: int = 200) -> Sequence[StoredAttachment]:
        async with self._reading() as connection:
            rows = await connection.execute(_LATEST, {"owner": user_id, "most": limit})
            return [_stored(row) for row in rows]

    async def one(self, user_id: str, id: str) -> tuple[StoredAttachment, bytes]:
        async with self._reading() as connection:
            row = (await connection.execute(_ONE, {"owner": user_id, "wanted": id})).first()
        if row is None:
            raise _missing()
        return _stored(row), row.data

    async def delete(self, user_id: str, id: str) -> None:
        await self._writer.do(_DELETE_ATTACHMENT, (user_id, id))

    def _insert(
        self, connection: Connection, wanted: Sequence[_New]
    ) -> list[StoredAttachment | QuotaReached]:
        return [self._insert_one(connection, new) for new in wanted]

    def _insert_one(self, connection: Connection, new: _New) -> StoredAttachment | QuotaReached:
        held = int(connection.scalar(_SIZE, {"owner": new.user_id}) or 0)
        if held + len(new.data) > self._max_bytes:
            return QuotaReached(
                f"Your attachments have {held} bytes, and no user may have more than {self._max_bytes} "
                "(ATTACHMENT_BYTES_PER_USER). Delete some first: DELETE /api/chatbot/attachments/{id}."
            )
        row = {
            "uuid": ordered_uuid(),
            "user_id": new.user_id,
            "name": new.name,
            "media_type": new.media_type,
            "size": len(new.data),
            "created_at": new.now,
            "data": new.data,
        }
        return _stored(connection.execute(_INSERT, row).one())


def _missing() -> NotFound:
    return NotFound("No such attachment.")


def _stored(row: Row[Any]) -> StoredAttachment:
    return StoredAttachment(row.uuid, row.name, row.media_type, row.size, row.created_at)
