"""Runs the Python client packages of tests/clients/python, each set in a virtual environment of its own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from typing import Any, Literal

from tests.live.locked_packages import python_with
from tests.live.programs import ROOT

CASES = ROOT / "tests" / "clients" / "python"

Set = Literal["newest", "older"]
"""The product's own environment cannot have these packages: some need other versions of its dependencies,
and of `openai` and `anthropic` two versions are tried."""


async def installed_python(packages: Set) -> str:
    """Install the packages and return the Python that has them."""
    return await python_with(CASES / f"{packages}.lock", ROOT / f".venv-clients-{packages}")


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
