"""Prometheus' promtool, of Debian's package `prometheus`."""

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

PROMTOOL = shutil.which("promtool")


def requires_promtool() -> pytest.MarkDecorator:
    """Mark a live test: skipped if promtool is not installed, failed if REQUIRE_LIVE=1."""
    missing = PROMTOOL is None and os.environ.get("REQUIRE_LIVE") != "1"
    return pytest.mark.skipif(missing, reason="promtool is not installed: apt-get install prometheus")


async def promtool(*arguments: str, folder: Path, given: bytes = b"") -> tuple[int, str]:
    """Run it in a folder, with `given` on standard input. Return its exit code and all that it said."""
    assert PROMTOOL is not None, "REQUIRE_LIVE=1, but promtool is not installed"
    process = await asyncio.create_subprocess_exec(
        PROMTOOL, *arguments, cwd=folder, stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate(given)
    assert process.returncode is not None
    return process.returncode, said.decode()
