"""One gateway per SQLite file: a second one would take the first one's running replies for dead.

The lock is on the database file itself, so that neither another name of the file nor a removed lock file
defeats it. It belongs to the open file description (`F_OFD_SETLK`), because a lock of the process would be
released when SQLite closes any of its own descriptors.
"""

import errno
import fcntl
import logging
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.contract.errors import StorageFailed

log = logging.getLogger("sluice.store")

Identity = tuple[int, int]
"""Device and inode: equal for all names of a file."""

_FIRST_BYTE = 0x5000_0000
"""Offset of the lock; SQLite's own are at 0x4000_0000. Its length is the process id of its holder."""

_FLOCK = "hhqqi0q"
"""C's `struct flock`: type, whence, start, length, process."""

_held: set[Identity] = set()


def identity_of(file: str | Path) -> Identity:
    found = os.stat(file)
    return found.st_dev, found.st_ino


@contextmanager
def sole_owner(file: Path) -> Iterator[None]:
    """Lock `file`, which must exist, during the block.

    No SQLite connection may be open before or after it: closing the descriptor releases SQLite's own locks of
    this process. Raises StorageFailed, with the holder's process id, if another gateway holds the lock.
    """
    with ExitStack() as stack:
        try:
            identity = identity_of(file)
            if (
                identity in _held
            ):  # locked by this process: closing another descriptor would release its locks
                raise _held_by(file, os.getpid())
            descriptor = os.open(file, os.O_RDWR)
            stack.callback(os.close, descriptor)
            if not _lock_bytes(file, descriptor):
                _lock_beside(file, stack)
        except OSError as exc:
            raise StorageFailed(f"{file} cannot be locked: {exc.strerror}.") from exc
        _warn_of_other_names(file)
        _held.add(identity)
        stack.callback(_held.discard, identity)
        yield


def holder_of(file: Path) -> int | None:
    """Return the process that holds the lock of `file`; None if none does, or the system cannot tell."""
    get_lock = getattr(fcntl, "F_OFD_GETLK", None)
    if identity_of(file) in _held:  # see sole_owner
        return os.getpid()
    if get_lock is None:
        return None
    descriptor = os.open(file, os.O_RDONLY)
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _FIRST_BYTE, 1, 0)
        kind, _, _, holder, _ = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, get_lock, asked))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(holder)


def _warn_of_other_names(file: Path) -> None:
    names = os.stat(file).st_nlink
    if names > 1:
        log.warning(
            "%s has %d names (hard links). Remove all but the one that you use: SQLite stores its latest "
            "changes in a file beside the name it was opened by, and does not find them by another name",
            file,
            names,
        )


def _lock_bytes(file: Path, descriptor: int) -> bool:
    """Lock the file itself. Return False if the system or file system does not support such locks."""
    set_lock, get_lock = getattr(fcntl, "F_OFD_SETLK", None), getattr(fcntl, "F_OFD_GETLK", None)
    if set_lock is None or get_lock is None:
        return False
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _FIRST_BYTE, os.getpid(), 0)
    try:
        fcntl.fcntl(descriptor, set_lock, wanted)
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            return False
        if exc.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        _, _, _, holder, _ = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, get_lock, wanted))
        raise _held_by(file, holder) from None
    return True


def _lock_beside(file: Path, stack: ExitStack) -> None:
    """Lock `<file>.lock`. It is never removed: otherwise two processes could lock one file each."""
    lock_file = file.with_name(f"{file.name}.lock")
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held_by(file, os.read(descriptor, 20).decode(errors="replace").strip()) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())


def _held_by(file: Path, holder: int | str) -> StorageFailed:
    return StorageFailed(f"{file} is in use by another gateway (process {holder or 'unknown'}).")
