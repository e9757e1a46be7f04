"""Checks the rights on the files of the settings and of a SQLite database."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from gateway.commands.admin_client import local_actor
from gateway.commands.doctor.findings import Finding, failure, ok, warning
from gateway.settings import Settings
from gateway.store.file_permissions import files_of
from gateway.store.inspection import sqlite_path

FULL = (errno.ENOSPC, errno.EDQUOT)
AS_ITS_USER = "sudo -u USER sluice doctor, with the user that the gateway runs as"


async def files(settings: Settings) -> Sequence[Finding]:
    """Check .env and the files of secrets for readers, and the database's files and folder for writing."""
    problems = [*_readable_secrets(settings)]
    database = sqlite_path(settings.database_url)
    if database is not None:
        try:
            problems += _database_files(database)
        except PermissionError as error:
            problems.append(
                failure(f"DATABASE_URL: user {_user()} has no access to {error.filename}", AS_ITS_USER)
            )
    return problems or [ok(f"rights are sufficient for user {_user()}")]


def _readable_secrets(settings: Settings) -> Iterator[Finding]:
    env = Path(".env").resolve()
    text = env.read_text(encoding="utf-8") if env.is_file() else ""
    holding = [env] if any(secret in text for secret in settings.secrets if secret) else []
    holding += [Path(path) for path in (settings.mqtt_password_file, settings.mqtt_key_file) if path]
    for file in holding:
        if _mode_of(file) & 0o077:
            yield warning(
                f"{file} contains a secret and other users can use it (mode {_mode_of(file):04o})",
                f"chmod 600 {quote(str(file))}",
            )


def _database_files(database: Path) -> Iterator[Finding]:
    folder = database.parent
    if not folder.is_dir():
        yield failure(f"DATABASE_URL: the folder {folder} does not exist", f"mkdir -p {quote(str(folder))}")
        return
    if database.is_dir():
        yield failure(
            f"DATABASE_URL: {database} is a folder", f"DATABASE_URL=sqlite+aiosqlite:///{database}/sluice.db"
        )
        return
    if database.exists() and not database.is_file():
        yield failure(f"DATABASE_URL: {database} is no file", "correct DATABASE_URL; docs/settings.md")
        return
    if problem := _cannot_create_in(folder):
        said = f"DATABASE_URL: no file can be created in {folder}, and SQLite needs that: {problem.strerror}"
        where = quote(str(folder))
        if problem.errno == errno.EROFS:
            yield failure(
                said, f"sudo mount -o remount,rw $(findmnt -no TARGET -T {where}); dmesg has the reason"
            )
            return
        if problem.errno in FULL:
            yield failure(said, f"df -h {where}; df -i {where}, and remove what is not needed")
            return
        yield failure(said, f"sudo chown {_user()} {where} && chmod u+rwx {where}")
    for file in files_of(database):
        if not file.exists():
            continue
        if not _can_use(file):
            yield failure(
                f"{file} cannot be read and written by user {_user()}",
                f"sudo chown {_user()} {quote(str(file))} && chmod 600 {quote(str(file))}",
            )
        elif _mode_of(file) & 0o077:
            yield warning(
                f"{file} contains messages and other users can use it (mode {_mode_of(file):04o})",
                f"chmod 600 {quote(str(file))}",
            )


def _cannot_create_in(folder: Path) -> OSError | None:
    """Return the error of creating a file there, which is removed at once; None without an error."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error


def _can_use(file: Path) -> bool:
    """Return True if this user can read and write it. Unlike its mode, this also knows a read-only disk."""
    return os.access(file, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def _user() -> str:
    return local_actor().name
