"""The KeptSettings in a SQL database."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.audit import Actor, Change
from gateway.contract.kept_settings import KeptSetting
from gateway.contract.signals import SETTINGS
from gateway.store.announcements import announce
from gateway.store.audit import AuditedWrite
from gateway.store.tables import kept_settings
from gateway.store.writer import Write, Writer

_SELECT = select(kept_settings).order_by(kept_settings.c.name)
_INSERT = insert(kept_settings)
_DELETE = delete(kept_settings).where(kept_settings.c.name == bindparam("wanted"))


def _remove(connection: Connection, names: Sequence[str]) -> list[bool]:
    announce(connection, SETTINGS)
    return [connection.execute(_DELETE, {"wanted": name}).rowcount > 0 for name in names]


def _put(connection: Connection, wanted: Sequence[KeptSetting]) -> list[KeptSetting]:
    announce(connection, SETTINGS)
    for setting in wanted:
        connection.execute(_DELETE, {"wanted": setting.name})
        connection.execute(_INSERT, _values(setting))
    return list(wanted)


_PUT = AuditedWrite(Write[KeptSetting, KeptSetting](_put, rank=0))
_REMOVE = AuditedWrite(Write[str, bool](_remove, rank=0))


class SqlKeptSettings:
    """Implements gateway.contract.kept_settings.KeptSettings. `reading` yields a connection; `clock` is
    aware."""

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock

    async def all(self) -> Sequence[KeptSetting]:
        async with self._reading() as connection:
            return [_stored(row) for row in await connection.execute(_SELECT)]

    async def put(self, name: str, value: Mapping[str, Any], change: Change) -> KeptSetting:
        now = self._clock()
        return await _PUT.do(self._writer, KeptSetting(name, value, change.actor, now), change, now)

    async def remove(self, name: str, change: Change) -> bool:
        return await _REMOVE.do(self._writer, name, change, self._clock())


def _values(setting: KeptSetting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "value": dict(setting.value),
        "set_by": setting.set_by.name,
        "key_id": setting.set_by.key_id,
        "source": setting.set_by.source,
        "set_at": setting.set_at,
    }


def _stored(row: Row[Any]) -> KeptSetting:
    return KeptSetting(row.name, row.value, Actor(row.set_by, row.source, row.key_id), row.set_at)
