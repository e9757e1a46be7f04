"""Ways to keep a real SQLite file from taking changes."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def moved_away(file: Path) -> Iterator[None]:
    """The database's files have other names; connections that are open still reach them."""
    names = [found.name for found in file.parent.glob(f"{file.name}*")]
    for name in names:
        file.with_name(name).rename(file.with_name(f"away-{name}"))
    try:
        yield
    finally:
        for name in names:
            file.with_name(f"away-{name}").rename(file.with_name(name))


@contextmanager
def replaced(file: Path) -> Iterator[None]:
    """Another database has its name."""
    with moved_away(file):
        with closing(sqlite3.connect(file)) as another:
            another.execute("CREATE TABLE other (x)")
        yield


@contextmanager
def write_ahead_log_removed(file: Path) -> Iterator[None]:
    log = file.with_name(f"{file.name}-wal")
    kept = file.with_name("kept-wal")
    kept.hardlink_to(log)
    log.unlink()
    try:
        yield
    finally:
        log.hardlink_to(kept)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program has the write lock."""
    with closing(sqlite3.connect(file, isolation_level=None)) as another:
        another.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """No file of this process can grow beyond a byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FAULTS = (moved_away, replaced, write_ahead_log_removed, locked, full_disk)
