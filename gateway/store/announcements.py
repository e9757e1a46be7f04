"""Signals that a change of the database sends when it is committed, by a gateway or by a command."""

import json

from sqlalchemy import Connection, text

CHANNEL = "'sluice/' || left(current_schema(), 50)"
"""SQL for the name of the notifications. It contains the schema, because all schemas of a database share the
names; PostgreSQL allows 63 characters."""

_NOTIFY = text(f"SELECT pg_notify({CHANNEL}, :signal)")


def announce(connection: Connection, topic: str) -> None:
    """Send a signal to all gateways, this one too, when the transaction is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"signal": json.dumps({"from": "", "topic": topic, "body": {}})})
