"""Looks at a database without changing anything: it is not created, upgraded, locked or made private."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, create_engine, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from gateway.contract.errors import StorageFailed
from gateway.contract.gateways import DEAD_S
from gateway.store import schema_migration
from gateway.store.away import reason_of
from gateway.store.engine import open_database
from gateway.store.lock import holder_of
from gateway.store.schema_migration import HEAD
from gateway.store.tables import api_keys, gateways, kept_settings, messages

__all__ = ["HEAD", "Inspection", "inspect_database", "psql_of", "sqlite_path"]

QUICK_CHECK_S = 3.0
"""Seconds after which the search for damage in a large file ends."""

_NEXT_EXPIRY = (
    select(api_keys.c.id, api_keys.c.user_id, api_keys.c.expires_at)
    .where(
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at > bindparam("now", type_=api_keys.c.expires_at.type),
    )
    .order_by(api_keys.c.expires_at)
    .limit(1)
)

_LIVING = (
    select(func.split_part(gateways.c.owner, "/", 1).label("name"), gateways.c.internal_url)
    .where(gateways.c.seen_at > func.clock_timestamp() - timedelta(seconds=DEAD_S))
    .order_by(gateways.c.owner)
)

_STEPS_BETWEEN_LOOKS = 10_000


@dataclass(frozen=True, slots=True)
class Inspection:
    """A look at a database.

    Attributes:
        revision: of the schema; None without a schema, or without a file.
        keys: number of API keys, also revoked ones; None unless the schema is HEAD.
        next_expiry: id, user and time of the valid key that expires first; None without one, or unless the
            schema is HEAD.
        newest_message: its time; None without messages, or unless the schema is HEAD.
        used_by: the process that uses a SQLite file; None if none does, or that cannot be known.
        gateways: the INTERNAL_URL, or None, of each gateway that uses a PostgreSQL database, by its name;
            empty unless the schema is HEAD.
        server_time: of PostgreSQL's clock; None for SQLite.
        read_only: the reason for which the database takes no changes; None if it takes them.
        kept_settings: the values of the KeptSettings by name; empty unless the schema is HEAD.
    """

    revision: str | None = None
    keys: int | None = None
    next_expiry: tuple[int, str, datetime] | None = None
    newest_message: datetime | None = None
    used_by: str | None = None
    gateways: Mapping[str, str | None] = field(default_factory=dict)
    server_time: datetime | None = None
    read_only: str | None = None
    kept_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def sqlite_path(database_url: str) -> Path | None:
    """Return the path of a SQLite database's file; None for another database or an unusable URL."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):  # ValueError: the port is no number
        return None
    return Path(url.database).resolve() if url.get_backend_name() == "sqlite" and url.database else None


def psql_of(database_url: str) -> str:
    """Return the command that connects to a PostgreSQL database, without the password."""
    try:
        url = make_url(database_url)
    except ValueError:  # the port is no number
        return "psql"
    parts = ["psql", "-h", str(url.host or url.query.get("host", "localhost")), "-p", str(url.port or 5432)]
    parts += ["-U", url.username] if url.username else []
    return " ".join([*parts, url.database or ""]).rstrip()


async def inspect_database(database_url: str) -> Inspection:
    """Return the state of the database. Raises StorageFailed with the reason if it cannot be read, ValueError
    if the URL cannot be used."""
    file = sqlite_path(database_url)
    if file is not None:
        return await asyncio.to_thread(_inspect_file, file)
    database = open_database(database_url, "NORMAL")
    async with database.opened(alone=False), database.reader() as connection:
        try:
            return await connection.run_sync(_look_at_server)
        except (SQLAlchemyError, OSError) as exc:
            raise StorageFailed(f"The database could not be read: {reason_of(exc)}.") from exc


def _inspect_file(file: Path) -> Inspection:
    try:
        if not file.is_file():
            return Inspection()
        used_by = holder_of(file)
        # A read of a file without a write-ahead log would create one, unless the file is declared immutable.
        has_log = file.with_name(f"{file.name}-wal").exists()
    except OSError as exc:
        raise StorageFailed(f"{file} cannot be read: {exc.strerror}.") from exc
    uri = f"{file.as_uri()}?mode=ro{'' if has_log else '&immutable=1'}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            _check_for_damage(connection)
            return _look(connection, used_by=None if used_by is None else f"process {used_by}")
    except (SQLAlchemyError, OSError) as exc:
        raise StorageFailed(f"{file} cannot be read: {reason_of(exc)}.") from exc


def _check_for_damage(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    ends_at = time.monotonic() + QUICK_CHECK_S
    driver.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS_BETWEEN_LOOKS)
    try:
        (found,) = driver.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as exc:
        if "interrupted" not in str(exc):
            raise StorageFailed(f"The database cannot be read: {exc}.") from exc
        found = "ok"
    except sqlite3.DatabaseError as exc:
        raise StorageFailed(f"The database is damaged: {exc}.") from exc
    finally:
        driver.set_progress_handler(None, 0)
    if found != "ok":
        raise StorageFailed(f"The database is damaged: {' '.join(str(found).split())}.")


def _look_at_server(connection: Connection) -> Inspection:
    server_time = connection.scalar(select(func.clock_timestamp()))
    read_only = None
    if connection.scalar(text("SELECT pg_is_in_recovery()")):
        read_only = "the server is a standby"
    elif connection.scalar(text("SELECT current_setting('default_transaction_read_only')")) == "on":
        read_only = "default_transaction_read_only is on"
    return _look(connection, server_time=server_time, read_only=read_only)


def _look(connection: Connection, **known: Any) -> Inspection:
    revision = schema_migration.current(connection)
    if revision != HEAD:
        return Inspection(revision, **known)
    keys = connection.scalar(select(func.count()).select_from(api_keys))
    newest = connection.scalar(select(messages.c.created_at).order_by(messages.c.id.desc()).limit(1))
    expiring = connection.execute(_NEXT_EXPIRY, {"now": datetime.now(UTC)}).first()
    next_expiry = None if expiring is None else (expiring.id, expiring.user_id, expiring.expires_at)
    kept = {row.name: row.value for row in connection.execute(select(kept_settings))}
    if connection.dialect.name == "postgresql":
        known["gateways"] = {row.name: row.internal_url for row in connection.execute(_LIVING)}
    return Inspection(revision, keys, next_expiry, newest, kept_settings=kept, **known)
