"""Checks the free space of the disk with the SQLite database."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote

from gateway.commands.doctor.findings import Finding, failure, ok, skipped, warning
from gateway.settings import Settings
from gateway.store.inspection import sqlite_path

MIB = 1024 * 1024
LITTLE, TOO_LITTLE = 1024 * MIB, 64 * MIB
FEW_INODES = 100

Free = Callable[[Path], tuple[int, int | None]]
"""Returns the free bytes of a folder's disk for this user, and the free inodes, None without such a limit."""


def free_on(folder: Path) -> tuple[int, int | None]:
    """Return the figures of the file system."""
    found = os.statvfs(folder)
    return shutil.disk_usage(folder).free, found.f_favail if found.f_files else None


async def disk_space(settings: Settings, free: Free = free_on) -> Sequence[Finding]:
    """Compare with fixed amounts, and with the database's size, which `sluice db vacuum` and backups need."""
    database = sqlite_path(settings.database_url)
    if database is None:
        return [skipped("the database is on another machine's disk or in another program's folder")]
    folder = database.parent
    try:
        if not folder.is_dir():
            return [skipped(f"the folder {folder} does not exist")]
        bytes_free, inodes_free = free(folder)
        size = database.stat().st_size if database.exists() else 0
    except PermissionError as error:
        return [skipped(f"this user has no access to {error.filename}")]
    said = f"{bytes_free // MIB} MiB are free in {folder}, and the database has {size // MIB} MiB"
    look = f"du -xh {quote(str(folder))} | sort -h | tail, and remove what is not needed"
    if inodes_free is not None and inodes_free < FEW_INODES:
        return [
            failure(f"{inodes_free} more files fit on the disk of {folder}", f"df -i {quote(str(folder))}")
        ]
    if bytes_free < TOO_LITTLE:
        return [failure(f"{said}: questions are refused once the disk is full", look)]
    if bytes_free < max(LITTLE, size):
        return [warning(f"{said}: soon too little", look)]
    return [ok(said)]
