"""Replies of model servers of every kind, as readers receive them and as the store keeps them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.transports.llama.foreign_calls import HALVES, TOOLS
from tests.transports.llama.foreign_streams import ERRORS, USAGES, Case, given_cases
from tests.transports.llama.foreign_words import WORDS
from tests.transports.llama.raw_server import raw_server
from tests.transports.llama.test_foreign_streams import lingers_s
from tests.web.gateway_server import served
from transports.llama.transport import LlamaTransport
from transports.scripted import tokens

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
PIECE = 11


@pytest.mark.parametrize(
    "cases",
    [given_cases(), ERRORS, USAGES, HALVES, TOOLS, [case for case in WORDS if case.held]],
    ids=["given", "errors", "usages", "halves", "tools", "words"],
)
async def test_readers_and_the_store_hear_what_the_server_meant(tmp_path: Path, cases: list[Case]) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        transport = LlamaTransport(server.url)
        async with served(tmp_path, lambda _: tokens("x"), within_s=600, sse=transport) as gateway:
            for number, case in enumerate(cases, 1):
                pieces = range(0, len(case.stream), PIECE)
                transport._linger_s = lingers_s(case)
                server.answer = [HEAD, *(case.stream[at : at + PIECE] for at in pieces)]
                *heard, last = await gateway.events({"content": "Hi"})
                kept = (await gateway.messages(number))[-1]
                check(case, heard, last, kept)
            answer = await gateway.http.get("/api/chatbot/usage")
    assert answer.status_code == 200
    assert all(used["total_tokens"] < 2 * 10**9 for used in answer.json())


def check(case: Case, heard: list[dict[str, Any]], last: dict[str, Any], kept: dict[str, Any]) -> None:
    text = "".join(event["content"] for event in heard if event["type"] == "chunk")
    assert text == last["full_content"] == kept["content"] == case.text, case.name
    if case.ends == "error":
        assert (last["type"], last["reason"], kept["status"]) == ("error", "upstream_error", "failed"), (
            case.name
        )
        assert case.message in last["message"], case.name
        return
    assert (last["type"], last["reason"]) == ("done", case.ends), case.name
    assert (kept["status"], kept["reason"]) == ("complete", case.ends), case.name
    calls = [(event["name"], parsed(event["args"])) for event in heard if event["type"] == "tool_call"]
    assert calls == [(call["name"], parsed(call["args"])) for call in kept["tool_calls"]], case.name
    assert calls == case.tool_calls, case.name
    if case.usage is not False:
        usage = last.get("usage")
        assert case.usage == (usage and [usage["prompt_tokens"], usage["completion_tokens"]]), case.name


def parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
