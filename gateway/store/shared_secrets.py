"""Random secrets shared by all processes on one database, such as the key of tickets."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.store.statements import Statement, upsert
from gateway.store.tables import secrets as secrets_table
from gateway.store.writer import Write

SECRET_BYTES = 32

_SELECT = select(secrets_table.c.name, secrets_table.c.value).where(
    secrets_table.c.name.in_(bindparam("names", expanding=True))
)
_INSERT = Statement(
    upsert(secrets_table, lambda new: new.on_conflict_do_nothing(index_elements=["name"])),
    ("name", "value", "created_at"),
)


def _get_or_create(connection: Connection, asked: Sequence[tuple[str, datetime]]) -> list[bytes]:
    names = [name for name, _ in asked]
    values = {row.name: row.value for row in connection.execute(_SELECT, {"names": names})}
    missing = {name: now for name, now in asked if name not in values}
    if missing:
        made = {name: secrets.token_bytes(SECRET_BYTES) for name in missing}
        rows = [
            {"name": name, "value": made[name], "created_at": now} for name, now in sorted(missing.items())
        ]
        _INSERT.run(connection, rows)
        # Another gateway may have created the same one first.
        values |= {row.name: row.value for row in connection.execute(_SELECT, {"names": list(missing)})}
    return [values[name] for name in names]


# Payload: name and current time.
SECRET = Write[tuple[str, datetime], bytes](_get_or_create, rank=0)
