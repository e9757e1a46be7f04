"""The first imports of a run's test modules: xdist's workers take them in different orders.

pytest rewrites a module's assertions when it is imported, and keeps the result for the next import. Workers
that begin together with the same module would all rewrite all of them: 6 s of CPU in each.
"""

import importlib
import os
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def import_in_turns(session: pytest.Session) -> None:
    """Import all test modules, each worker from a place of its own on. Collection reports what fails."""
    if session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return  # some modules only
    number, workers = int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    first = len(files) * number // workers
    for file in files[first:] + files[:first]:
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
