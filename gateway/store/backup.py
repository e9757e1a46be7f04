"""Copies a whole database into one file while a gateway uses it."""

import asyncio
import os
import sqlite3
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, make_url

from gateway.contract.errors import StorageFailed


async def back_up(database_url: str, target: Path) -> int:
    """Write a copy of the database to `target`, which must not exist, and return its size in bytes.

    The copy of a SQLite file is a SQLite file, that of a PostgreSQL database an archive of pg_dump. Raises
    StorageFailed; then there is no new file.
    """
    url = make_url(database_url)
    part = await asyncio.to_thread(_new_file, target)
    try:
        if url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_copy_file, Path(url.database or ""), part)
        else:
            await _dump(url, part)
        return await asyncio.to_thread(_keep, part, target)
    except (OSError, sqlite3.Error) as exc:
        raise StorageFailed(f"The backup failed: {exc}.") from exc
    finally:
        part.unlink(missing_ok=True)


def _new_file(target: Path) -> Path:
    """Create a file beside `target`, which gets its name when it is whole."""
    part = target.with_name(f"{target.name}.part")
    if target.exists():
        raise StorageFailed(f"{target} exists: name a new file.")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as exc:
        left = f"{part} exists: another backup is running, or one was killed; then remove {part}*"
        raise StorageFailed(f"{left}.") from exc
    except OSError as exc:
        raise StorageFailed(f"{part} cannot be created: {exc.strerror}.") from exc
    return part


def _keep(part: Path, target: Path) -> int:
    with part.open("rb") as copy:
        os.fsync(copy.fileno())
    part.rename(target)
    return target.stat().st_size


def _copy_file(source: Path, copy: Path) -> None:
    if not source.exists():
        raise StorageFailed(f"There is no database {source}.")
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as reading,
        closing(sqlite3.connect(copy)) as writing,
    ):
        reading.execute("PRAGMA query_only = ON")
        reading.backup(writing)  # in one step: writers wait for nothing and the copy is of one moment
        (found,) = writing.execute("PRAGMA quick_check").fetchone()
        if found != "ok":
            raise StorageFailed(f"The database is damaged, so the backup is of no use: {found}.")


async def _dump(url: URL, copy: Path) -> None:
    host, port = url.host or url.query.get("host"), url.port or url.query.get("port")
    given = {
        "PGHOST": host,
        "PGPORT": port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": url.query.get("ssl"),
    }
    # Not as arguments: other users of the machine could read the password there.
    environment = os.environ | {name: str(value) for name, value in given.items() if value is not None}
    schema = url.query.get("schema")
    only = () if schema is None else (f"--schema={schema}",)
    try:
        process = await asyncio.create_subprocess_exec(
            *("pg_dump", "--format=custom", "--no-owner", "--no-privileges", *only, "--file", str(copy)),
            env=environment,
            stdin=DEVNULL,
            stderr=PIPE,
        )
    except FileNotFoundError:
        raise StorageFailed(
            "pg_dump is not installed: install PostgreSQL's client programs (Debian: postgresql-client)."
        ) from None
    _, said = await process.communicate()
    if process.returncode:
        raise StorageFailed(f"The backup failed: {' '.join(said.decode(errors='replace').split())}")
