"""Client packages against the gateway in both modes; docs/clients.md has what they report."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.client_table import client_of, keep, rows_of, rows_on_page
from tests.live.clients_house import Result, clients_house
from tests.live.llama_server import requires_llama
from tests.live.node import installed_node, requires_node, run_node
from tests.live.python_clients import Set, installed_python, run_python

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

OPENAI_AND_ANTHROPIC = ("openai_chat", "openai_responses", "anthropic_messages")
NEWEST = (
    *OPENAI_AND_ANTHROPIC,
    *("ollama_api", "agents_sdk", "pydantic_ai_agents", "langchain_chat", "event_streams", "open_webui"),
)

NODE = (
    (
        "openai.mjs",
        "ai_sdk_providers.mjs",
        "anthropic.mjs",
        "ollama.mjs",
        "ag_ui.mjs",
        "ai_sdk_chats.mjs",
        "websocket_chat.mjs",
    ),
    ("use_chat.mjs",),
    ("event_sources.mjs",),
)
"""A process for each of these: pages and browsers' libraries need a `window`, which others refuse."""


async def test_newest_python_packages_do_as_the_page_says(tmp_path: Path) -> None:
    await _compare(tmp_path, "newest", [NEWEST])


async def test_older_python_packages_do_as_the_page_says(tmp_path: Path) -> None:
    await _compare(tmp_path, "older", [(*OPENAI_AND_ANTHROPIC, "llama_index_llm")])


@requires_node()
async def test_node_packages_do_as_the_page_says(tmp_path: Path) -> None:
    await _compare(tmp_path, "node", NODE)


async def _compare(
    tmp_path: Path, packages: Literal[Set, "node"], processes: Sequence[tuple[str, ...]]
) -> None:
    results: list[Result] = []
    await (installed_node() if packages == "node" else installed_python(packages))
    async with asyncio.timeout(600), clients_house(tmp_path) as house:
        for modules in processes:
            if packages == "node":
                results += await run_node("node/run_cases.mjs", *house.addresses(), *modules)
            else:
                results += await run_python(packages, *house.addresses(), *modules)
        rows = rows_of(packages, await house.judged(results))
        house.check_order()
    keep(packages, rows)
    clients = {client_of(row) for row in rows}
    assert [row for row in rows_on_page() if client_of(row) in clients] == rows, "make clients"
