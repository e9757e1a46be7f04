"""Runs the Python client packages of tests/clients/python, each set in a virtual environment of its own."""

import asyncio
import fcntl
import functools
import json
import os
import subprocess
import sys
import venv
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Literal

from tests.live.programs import ROOT

CASES = ROOT / "tests" / "clients" / "python"

Set = Literal["newest", "older"]
"""The product's own environment cannot have these packages: some need other versions of its dependencies,
and of `openai` and `anthropic` two versions are tried."""


@functools.cache
def _installed(packages: Set) -> Path:
    """Install the locked packages once, even with several test processes, and return their Python."""
    lock, home = CASES / f"{packages}.lock", ROOT / f".venv-clients-{packages}"
    done, python = home / "installed", home / "bin" / "python"
    with lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
            venv.create(home, clear=True, symlinks=True)
            # The lock file is complete, so nothing needs to be resolved; modules are compiled when imported.
            options = (
                "--quiet",
                "--disable-pip-version-check",
                "--no-compile",
                "--no-deps",
                "--require-hashes",
            )
            command = [
                sys.executable,
                "-m",
                "pip",
                "--python",
                str(python),
                "install",
                *options,
                "-r",
                str(lock),
            ]
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            done.touch()
    return python


async def installed_python(packages: Set) -> str:
    """Install the packages and return the Python that has them."""
    return str(await asyncio.to_thread(_installed, packages))


async def run_python(packages: Set, *arguments: str) -> Any:
    """Run case.py of tests/clients/python with these packages and return its output, parsed as JSON."""
    python = await installed_python(packages)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = await asyncio.create_subprocess_exec(
        python, "case.py", *arguments, cwd=CASES, env=environment, stdout=PIPE, stderr=PIPE
    )
    told, complained = await process.communicate()
    sys.stderr.write(complained.decode())  # pytest shows it if the test fails
    assert process.returncode == 0, complained.decode()
    return json.loads(told)
