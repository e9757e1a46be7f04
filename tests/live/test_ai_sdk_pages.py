"""Pages of the AI SDK against a real gateway: useChat, the WebSocket transport, and an EventSource.

What a page shows is compared with what the gateway has stored.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done, ToolCall
from gateway.contract.requests import ChatRequest
from tests.live.brokers import free_port
from tests.live.llama_server import requires_llama
from tests.live.node import requires_node, run_node
from tests.live.programs import running_program, sluice
from tests.plain_http import plain_http
from tests.web.gateway_server import served
from transports.scripted import Step, tokens

pytestmark = [pytest.mark.live, requires_node()]

VERSIONS = ["ai-react-5", "ai-react-6", "ai-react-7"]


async def stored(url: str) -> list[list[dict[str, Any]]]:
    """The messages of each session, with all answers."""
    async with plain_http(url) as http:
        sessions = (await http.get("/api/chatbot/sessions?all=1&limit=200")).json()
        paths = [f"/api/chatbot/sessions/{session['id']}/messages" for session in sessions]
        return [(await http.get(path)).json() for path in paths]


def roles(messages: list[dict[str, Any]]) -> str:
    return "".join(message["role"][0] for message in messages)


@requires_llama()
@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_pages_show_what_is_stored(tmp_path: Path, mode: str) -> None:
    port = free_port()
    async with (
        asyncio.timeout(240),
        running_program(
            *sluice("demo"), cwd=tmp_path, LLM_COMM_MODE=mode, PORT=str(port), RATE_PER_MINUTE="1000"
        ) as demo,
    ):
        url = (await demo.until_said(r"(http://\S+) \(mode"))[1]
        pages: dict[str, Any] = await run_node("use_chat.mjs", url)
        chats = await stored(url)
        socket: dict[str, Any] = await run_node("websocket_chat.mjs", url)
        source: dict[str, Any] = await run_node("event_source.mjs", url)
        everything = await stored(url)

    assert list(pages) == VERSIONS
    for name, steps in pages.items():
        assert steps.pop("failed") == [], name
        for step, texts in steps.items():
            assert texts["shown"] == texts["stored"], (name, step)
            assert all(texts["shown"]), (name, step)
    # One question has two answers: that of the start, and the one that replaced it.
    assert [roles(messages) for messages in chats if messages] == ["uaauaua"] * len(VERSIONS)

    replies = {
        message["content"]: message
        for chat in everything
        for message in chat
        if message["role"] == "assistant"
    }
    assert socket["nothing"] is None
    for text in socket["texts"]:
        assert replies[text]["status"] == "complete"
    assert any(text.startswith(socket["begun"]) for text in replies)
    assert any(text.startswith(socket["stopped"]) for text in replies)
    assert source["text"] == source["whole"]
    assert source["text"] in replies


class Forecast:
    """A model that calls a tool, and one reply without an end."""

    def __call__(self, request: ChatRequest) -> Iterable[Step]:
        match request.turns[-1]:
            case turn if turn.role == "tool":
                return tokens(f"The sky says {turn.content}.")
            case turn if turn.content == "Weather?":
                return [[ToolCall("t1", "weather", "{}")], [Done("tool_calls")]]
            case turn if turn.content == "Endless":
                return [[Delta("Hel")], asyncio.Event().wait]
        return tokens("You are welcome.")


async def test_pages_go_on_after_a_tool_and_after_they_were_loaded_again(tmp_path: Path) -> None:
    async with served(tmp_path, Forecast(), within_s=240) as gateway:
        told: dict[str, Any] = await run_node("use_chat_scripted.mjs", gateway.url)
        chats = await stored(gateway.url)
    assert list(told) == VERSIONS
    lines = ["Weather?", 'The sky says {"sky":"grey"}.', "Thanks", "You are welcome."]
    for name, scenes in told.items():
        assert scenes["tools"] == {"shown": lines, "stored": lines, "failed": []}, name
        again = ["Endless", "Hel"]
        assert scenes["reloaded"] == {"loaded": 1, "shown": again, "stored": again, "failed": []}, name
    assert sorted(roles(messages) for messages in chats) == ["ua"] * 3 + ["uaaua"] * 3
