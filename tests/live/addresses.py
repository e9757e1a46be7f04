"""A lock on this machine's network addresses, for the tests of all of xdist's workers.

Chromium fails requests with ERR_NETWORK_CHANGED when an address or a device comes or goes, and tests/chaos
makes network namespaces.
"""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO


def keep_addresses() -> IO[str]:
    """Return when no test changes addresses. None does until the returned file is closed."""
    return _locked(fcntl.LOCK_SH)


def claim_addresses() -> IO[str]:
    """Return when no browser is in use. None is until the returned file is closed."""
    return _locked(fcntl.LOCK_EX)


def _locked(kind: int) -> IO[str]:
    with _file("next").open("w") as first:  # who claims is not overtaken by those who keep
        fcntl.flock(first, fcntl.LOCK_EX)
        file: IO[str] = _file("addresses").open("w")
        fcntl.flock(file, kind)
        return file


def _file(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"sluice-{name}-{os.geteuid()}.lock"
