"""Restricts the database's files, which contain users' messages, to the gateway's system user."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.contract.errors import StorageFailed

log = logging.getLogger("sluice.store")

PRIVATE = 0o600


def make_private(database: Path) -> None:
    """Create the database's file if it does not exist, and set the mode of all its files to 0600.

    SQLite gives files that it creates the mode of the database. Raises StorageFailed if the file cannot be
    created; a mode that cannot be changed is logged as an error.
    """
    try:
        if database.exists() and not database.is_file():  # a device would lose its mode
            kind = "a folder; name a file in it" if database.is_dir() else "no file"
            raise StorageFailed(f"DATABASE_URL: {database} is {kind}.")
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError:
        pass
    except OSError as exc:
        raise StorageFailed(f"DATABASE_URL: {database} cannot be created: {exc.strerror}.") from None
    for file in files_of(database):
        try:
            _make_private(file)
        except FileNotFoundError:
            continue


def files_of(database: Path) -> Iterator[Path]:
    """Yield the database and the files that SQLite and Sluice create beside it."""
    yield database
    for ending in ("-wal", "-shm", "-journal", ".lock"):
        yield database.with_name(f"{database.name}{ending}")


def _make_private(file: Path) -> None:
    # By name: closing a descriptor of the file would release the locks of open connections.
    before = stat.S_IMODE(file.stat().st_mode)
    if not before & 0o077:
        return
    reason = "the file system does not store modes"
    try:
        file.chmod(PRIVATE)
    except PermissionError as exc:
        reason = exc.strerror or str(exc)
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        log.error(
            "%s can be used by other users of this machine (mode %04o), and that cannot be changed: %s. "
            "Run: chmod 600 %s",
            file,
            before,
            reason,
            file,
        )
    else:
        log.warning(
            "%s could be used by other users of this machine (mode %04o); now it has mode 0600", file, before
        )
