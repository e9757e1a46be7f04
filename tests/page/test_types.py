"""Types and lint of the page's JavaScript, by the tools that package-lock.json pins."""

import asyncio
import filecmp
import os
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.live.node import install_packages, requires_node

pytestmark = [pytest.mark.live, requires_node()]

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "gateway" / "page"
CLIENT = PAGE / "sluice-client"


async def run_tool(name: str, *arguments: str | Path) -> str:
    await asyncio.to_thread(install_packages, HERE)
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
