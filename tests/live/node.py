"""Runs frontends' own client libraries in Node; tests/clients has their lock file."""

import asyncio
import fcntl
import functools
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.live.locked_packages import INSTALL_S

CLIENTS = Path(__file__).parents[1] / "clients"


def requires_node() -> pytest.MarkDecorator:
    """Mark a live test: skipped if Node is not installed, failed if REQUIRE_LIVE=1."""
    missing = (shutil.which("node") is None or shutil.which("npm") is None) and os.environ.get(
        "REQUIRE_LIVE"
    ) != "1"
    return pytest.mark.skipif(missing, reason="needs Node: apt-get install nodejs npm")


@functools.cache
def install_packages(folder: Path) -> None:
    """Install a folder's packages once, even with several test processes.

    npm writes its own copy of the lock file last.
    """
    locked, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    with locked.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
            subprocess.run(["npm", "ci"], cwd=folder, check=True, capture_output=True, timeout=INSTALL_S)


def _node() -> str:
    """The Node that tests/clients pins, which newer packages need; else the machine's.

    The package `node` would fetch it by a script of its own, and npm runs no scripts here: the package for
    this kind of machine holds the program.
    """
    pinned = sorted((CLIENTS / "node_modules").glob("node-linux-*/bin/node"))
    return str(pinned[0]) if pinned else "node"


async def installed_node() -> str:
    """Install the packages and return the program that runs them, in the folder CLIENTS."""
    await asyncio.to_thread(install_packages, CLIENTS)
    return _node()


async def run_node(script: str, *arguments: str) -> Any:
    """Run a script of tests/clients and return its output, parsed as JSON."""
    process = await asyncio.create_subprocess_exec(
        await installed_node(), script, *arguments, cwd=CLIENTS, stdout=PIPE, stderr=PIPE
    )
    told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(told)
