"""The programs of docs/clients/*.md, run as a reader would paste them, in both modes."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.clients_house import clients_house, replies_of
from tests.live.llama_server import requires_llama
from tests.live.node import CLIENTS, installed_node, requires_node
from tests.live.programs import ROOT
from tests.live.python_clients import CASES, installed_python

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto(), requires_node()]

PAGES = sorted((ROOT / "docs" / "clients").glob("*.md"))


def blocks(language: str, url: str) -> list[str]:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pages = pages.replace("http://127.0.0.1:8000", url)
    pages = pages.replace('from "ai"', 'from "ai-7"')  # tests/clients has several versions of the package
    return re.findall(rf"```{language}\n(.*?)```", pages, re.DOTALL)


async def output_of(*command: str, cwd: Path, stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate(stdin.encode())
    assert process.returncode == 0, f"{command} {err.decode()}"
    return out.decode()


async def test_every_program_prints_a_stored_reply(tmp_path: Path) -> None:
    python, node = await installed_python("newest"), await installed_node()
    async with asyncio.timeout(600), clients_house(tmp_path) as house:
        urls = {mode: str(gateway.http.base_url).rstrip("/") for mode, gateway in house.gateways.items()}
        told = {(mode, name): blocks(name, urls[mode]) for mode in urls for name in ("python", "js", "sh")}
        # Both modes in one process: the packages take long to import.
        sources = json.dumps([*told["sse", "python"], *told["mqtt", "python"]])
        printed = json.loads(await output_of(python, "run_blocks.py", cwd=CASES, stdin=sources))
        half = len(printed) // 2
        said = {"sse": printed[:half], "mqtt": printed[half:]}
        for mode, gateway in house.gateways.items():
            for block in told[mode, "js"]:
                said[mode].append(await output_of(node, "--input-type=module", "-e", block, cwd=CLIENTS))
            for block in told[mode, "sh"]:
                said[mode].append(await output_of("sh", "-c", block, cwd=tmp_path))
            stored = {reply["content"] for reply in await replies_of(gateway)}
            assert "" not in said[mode], mode
            assert set(said[mode]) <= stored, mode
    assert [len(programs) for programs in told.values()] == [8, 7, 2] * 2


def test_every_family_has_a_page() -> None:
    index = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"clients/{page.name}" not in index] == []
