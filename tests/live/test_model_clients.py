"""The packages of the model APIs against the real gateway in both modes, and the database beside them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import free_port
from tests.live.llama_server import requires_llama
from tests.live.node import requires_node, run_node
from tests.live.programs import running_program, sluice
from tests.plain_http import plain_http

pytestmark = [pytest.mark.live, requires_node(), requires_llama()]

AI_SDKS = ["ai-5.0.216", "ai-5.0.277", "ai-6.0.41", "ai-6.0.303", "ai-7.0.31", "ai-7"]


async def kept_texts(url: str) -> set[str]:
    """The text of every reply in the database."""
    texts: set[str] = set()
    async with plain_http(url) as http:
        for session in (await http.get("/api/chatbot/sessions?all=1&limit=200")).json():
            messages = (await http.get(f"/api/chatbot/sessions/{session['id']}/messages")).json()
            texts |= {message["content"] for message in messages if message["role"] == "assistant"}
    return texts


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_every_package_receives_what_the_database_holds(tmp_path: Path, mode: str) -> None:
    port = free_port()
    async with (
        asyncio.timeout(240),
        running_program(
            *sluice("demo"), cwd=tmp_path, LLM_COMM_MODE=mode, PORT=str(port), RATE_PER_MINUTE="1000"
        ) as demo,
    ):
        found = await demo.until_said(r"(http://\S+) \(mode")
        url = found[1]
        told: dict[str, Any] = await run_node("model_clients.mjs", url)
        kept = await kept_texts(url)
    for package, heard in told.items():
        assert heard["same"], (package, heard)
        for text in heard["texts"]:
            assert text, package
            assert text in kept, (package, text)
    assert told["@anthropic-ai/sdk"]["end"] == "end_turn"
    assert told["@anthropic-ai/sdk"]["refused"] == [400, "BadRequestError"]
    assert told["ollama"]["listed"] == ["tiny"]
    assert [name for name in told if name.startswith("ai-")] == AI_SDKS
