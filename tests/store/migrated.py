"""A SQLite file with the newest schema, made once for each process: else migrations take most of a start."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import create_engine

from gateway.store.schema_migration import upgrade


def migrated(file: Path) -> str:
    """The database URL of `file`, which gets the newest schema if it is missing. Its folder must exist."""
    if not file.exists():
        shutil.copy(_migrated(), file)
    return f"sqlite+aiosqlite:///{file}"


@functools.cache
def _migrated() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sluice-schema-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "migrated.db"
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    file.chmod(0o600)
    return file
