"""Types and lint of the page's JavaScript, by the tools that package-lock.json pins."""

import asyncio
import fcntl
import filecmp
import functools
import os
import subprocess
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.live.node import requires_node

pytestmark = [pytest.mark.live, requires_node()]

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "gateway" / "page"
CLIENT = PAGE / "sluice-client"


@functools.cache
def install_tools() -> None:
    locked, installed = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    with locked.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
            subprocess.run(["npm", "ci"], cwd=HERE, check=True, capture_output=True, timeout=300)


async def run_tool(name: str, *arguments: str | Path) -> str:
    await asyncio.to_thread(install_tools)
    process = await asyncio.create_subprocess_exec(
        HERE / "node_modules" / ".bin" / name, *arguments, cwd=HERE, stdout=PIPE, stderr=STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def test_the_client_has_right_types_and_its_declarations_are_current(tmp_path: Path) -> None:
    await run_tool("tsc", "-p", CLIENT, "--outDir", tmp_path)
    made = sorted(os.listdir(tmp_path))
    assert made == sorted(os.listdir(CLIENT / "types"))
    assert filecmp.cmpfiles(tmp_path, CLIENT / "types", made, shallow=False) == (made, [], [])


async def test_the_page_has_right_types() -> None:
    await run_tool("tsc", "-p", PAGE / "app")


async def test_lint_finds_nothing() -> None:
    await run_tool(
        "biome", "lint", "--error-on-warnings", f"--config-path={HERE}", CLIENT, PAGE / "app", HERE
    )


async def test_the_client_can_be_packed() -> None:
    process = await asyncio.create_subprocess_exec(
        "npm", "pack", "--dry-run", "--json", cwd=CLIENT, stdout=PIPE, stderr=PIPE
    )
    told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    for file in ("index.js", "reply.js", "types/index.d.ts", "README.md", "LICENSE"):
        assert f'"path": "{file}"' in told.decode()
