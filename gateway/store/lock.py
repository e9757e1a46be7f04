"""One process per SQLite file: a second gateway would take the first one's running replies for dead."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.contract.errors import StorageFailed


@contextmanager
def sole_owner(lock_file: Path) -> Iterator[None]:
    """Hold `lock_file` for as long as the block lasts.

    StorageFailed names the file when another process holds it, or when it cannot be made. The file stays
    behind: removing it would let a third process lock a new one while a second still waits for this one.
    """
    try:
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise StorageFailed(f"{lock_file} cannot be opened: {exc.strerror}.") from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise StorageFailed(f"{lock_file} is held by another gateway (process {holder}).") from exc
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
