"""One gateway per SQLite file: a second one would take the first one's running replies for dead.

The lock is on the database file itself, so that neither another name for it nor a removed lock file leads
around it. It belongs to our open file (`F_OFD_SETLK`), because an ordinary lock of the process would be gone
as soon as SQLite closes one of its own descriptors.
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
"""Device and inode: the same under every name of a file."""

_FIRST_BYTE = 0x5000_0000
"""Where the lock begins; SQLite's own are at 0x4000_0000. Its length is the process id of its holder."""

_FLOCK = "hhqqi0q"
"""C's `struct flock`: type, whence, start, length, process."""

_held: set[Identity] = set()


def identity_of(file: Path) -> Identity:
    found = os.stat(file)
    return found.st_dev, found.st_ino


@contextmanager
def sole_owner(file: Path) -> Iterator[None]:
    """Hold `file`, which must exist, for as long as the block lasts.

    Open no connection before and none after it: closing our descriptor drops SQLite's own locks on the file
    in this process. Raises StorageFailed, with the holder's process id, if another gateway holds the file.
    """
    with ExitStack() as stack:
        try:
            identity = identity_of(file)
            if identity in _held:  # in this process, where opening and closing it would do harm
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


def _warn_of_other_names(file: Path) -> None:
    names = os.stat(file).st_nlink
    if names > 1:
        log.warning(
            "%s has %d names (hard links). Remove all but the one that you use: SQLite keeps its latest "
            "changes beside the name that it was opened by, and finds them by no other",
            file,
            names,
        )


def _lock_bytes(file: Path, descriptor: int) -> bool:
    """False where the system or the file system has no locks of this kind."""
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
    """Hold `<file>.lock`. It stays behind: removed, it would let two others lock one each."""
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
    return StorageFailed(f"{file} is held by another gateway (process {holder or 'unknown'}).")
