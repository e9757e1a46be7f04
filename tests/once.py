"""Costly work that one of xdist's workers does; the others wait for it and read its results."""

import asyncio
import fcntl
import json
import os
from collections.abc import Awaitable, Callable

import pytest

Results = dict[str, str]


async def once(name: str, folders: pytest.TempPathFactory, work: Callable[[], Awaitable[Results]]) -> Results:
    """The results of `work`, which is called at most once per test run.

    Args:
        name: of the work, unique in the run.
        folders: pytest's `tmp_path_factory`.
        work: its results must be the same in whichever worker it runs.
    """
    own = folders.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    results = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not results.exists():
            results.write_text(json.dumps(await work()))
        done: Results = json.loads(results.read_text())
        return done
