"""Virtual environments with the packages of a lock file, apart from the product's own environment."""

import asyncio
import fcntl
import functools
import subprocess
import sys
import venv
from pathlib import Path

# A lock file is complete, so nothing needs to be resolved; modules are compiled when imported.
OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "--require-hashes")

INSTALL_S = 900
"""For packages that come over the network: 170 s were seen at load 15."""


async def python_with(lock: Path, home: Path) -> str:
    """Return the Python of the environment in `home`. The first call installs the lock file's packages."""
    return str(await asyncio.to_thread(_installed, lock, home))


@functools.cache
def _installed(lock: Path, home: Path) -> Path:
    done, python = home / "installed", home / "bin" / "python"
    with lock.open() as locked:  # several test processes may need it at the same time
        fcntl.flock(locked, fcntl.LOCK_EX)
        if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
            venv.create(home, clear=True, symlinks=True)
            pip = (sys.executable, "-m", "pip", "--python", str(python), "install")
            subprocess.run(
                [*pip, *OPTIONS, "-r", str(lock)], check=True, capture_output=True, timeout=INSTALL_S
            )
            done.touch()
    return python
