"""Random secrets shared by all processes on one database, such as the key of tickets."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from gateway.store.tables import secrets as secrets_table
from gateway.store.writer import Write

SECRET_BYTES = 32

_SELECT = select(secrets_table.c.name, secrets_table.c.value).where(
    secrets_table.c.name.in_(bindparam("names", expanding=True))
)
_INSERT = insert(secrets_table)


def _get_or_create(connection: Connection, asked: Sequence[tuple[str, datetime]]) -> list[bytes]:
    names = [name for name, _ in asked]
    values = {row.name: row.value for row in connection.execute(_SELECT, {"names": names})}
    missing = {name: now for name, now in asked if name not in values}
    if missing:
        made = {name: secrets.token_bytes(SECRET_BYTES) for name in missing}
        connection.execute(
            _INSERT,
            [{"name": name, "value": made[name], "created_at": now} for name, now in missing.items()],
        )
        values |= made
    return [values[name] for name in names]


# Payload: name and current time. If another process creates the same one first, the writer's retry reads it.
SECRET = Write[tuple[str, datetime], bytes](_get_or_create, rank=0)
