"""Reads and changes the registered devices."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.devices import StoredDevice
from gateway.contract.errors import Conflict
from gateway.store.audit import AuditedWrite
from gateway.store.tables import devices
from gateway.store.writer import Write

_SELECT = select(devices).order_by(devices.c.name)
_SELECT_NAMED = _SELECT.where(devices.c.name == bindparam("wanted"))
_INSERT = insert(devices)
_DELETE = delete(devices).where(devices.c.name == bindparam("wanted"))


def _add(
    connection: Connection, wanted: Sequence[tuple[str, str, datetime]]
) -> list[StoredDevice | Conflict]:
    return [_add_one(connection, *device) for device in wanted]


def _add_one(connection: Connection, name: str, user_id: str, now: datetime) -> StoredDevice | Conflict:
    known = connection.execute(_SELECT_NAMED, {"wanted": name}).first()
    if known is not None and known.user_id != user_id:
        return Conflict(f"{name} is already registered for {known.user_id}; remove it first.")
    if known is None:
        connection.execute(_INSERT, {"name": name, "user_id": user_id, "created_at": now})
    return StoredDevice(name, user_id, now) if known is None else _stored(known)


def _remove(connection: Connection, names: Sequence[str]) -> list[bool]:
    return [connection.execute(_DELETE, {"wanted": name}).rowcount > 0 for name in names]


# Payload: name, user id, and the current time.
ADD = AuditedWrite(Write[tuple[str, str, datetime], StoredDevice](_add, rank=0))
# Payload: the name. Outcome: True if the device existed.
REMOVE = AuditedWrite(Write[str, bool](_remove, rank=0))


async def device_named(connection: AsyncConnection, name: str) -> StoredDevice | None:
    row = (await connection.execute(_SELECT_NAMED, {"wanted": name})).first()
    return None if row is None else _stored(row)


async def all_devices(connection: AsyncConnection) -> list[StoredDevice]:
    """Return all registered devices, ordered by name."""
    return [_stored(row) for row in await connection.execute(_SELECT)]


def _stored(row: Row[tuple[object, ...]]) -> StoredDevice:
    return StoredDevice(row.name, row.user_id, row.created_at)
