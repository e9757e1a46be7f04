"""Requests that repeat the conversation: each message is stored once, and every answer is kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, ToolCall
from gateway.contract.requests import ChatRequest
from tests.web.gateway_server import Served, served
from transports.scripted import Step

CHAT = "/api/chat"


def counting() -> Any:
    """A script that answers `1`, `2`, … and calls a tool for the question `Weather?`."""
    asked = 0

    def script(request: ChatRequest) -> list[Step]:
        nonlocal asked
        asked += 1
        if request.turns[-1].content == "Weather?":
            return [[ToolCall("t1", "weather", "{}")], [Done("tool_calls")]]
        return [[Delta(str(asked))], [Done("stop")]]

    return script


def user(said: str, id: str = "u1") -> dict[str, Any]:
    return {"id": id, "role": "user", "parts": [{"type": "text", "text": said}]}


async def ask(gateway: Served, *messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Send the conversation as useChat does. Return it as a page that loads gets it."""
    body = {"id": "c1", "messages": list(messages), "trigger": "submit-message", **more}
    response = await gateway.http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    return list((await gateway.http.get(f"{CHAT}/c1/messages")).json())


async def stored(gateway: Served) -> list[str]:
    """The texts of all messages in the session."""
    return [message["content"] for message in await gateway.messages()]


def shown(messages: list[dict[str, Any]]) -> list[str]:
    return ["".join(part.get("text", "") for part in message["parts"]) for message in messages]


@pytest.mark.parametrize("alone", [False, True])
async def test_a_regenerated_answer_stands_beside_the_first(tmp_path: Path, alone: bool) -> None:
    async with served(tmp_path, counting()) as gateway:
        loaded = await ask(gateway, user("Hi"))
        loaded = await ask(gateway, user("Hi"), loaded[1], user("Why?", "u2"))
        again: dict[str, Any] = {"trigger": "regenerate-message", "messageId": loaded[3]["id"]}
        if alone:
            again |= {"messages": None, "message": user("Why?", "u2")}
        loaded = await ask(gateway, user("Hi"), loaded[1], user("Why?", "u2"), **again)
        told = gateway.transport.seen_requests[-1]
        messages = await gateway.messages()
        path = (await gateway.http.get("/api/chatbot/sessions/1/messages?path=1")).json()
    assert shown(loaded) == ["Hi", "1", "Why?", "3"]
    assert [message["content"] for message in messages] == ["Hi", "1", "Why?", "2", "3"]
    assert messages[3]["parent_id"] == messages[4]["parent_id"] == messages[2]["id"]
    assert [message["content"] for message in path] == ["Hi", "1", "Why?", "3"]
    assert [turn.content for turn in told.turns] == ["Hi", "1", "Why?"]


async def test_the_first_answer_is_regenerated_and_the_first_question_edited(tmp_path: Path) -> None:
    async with served(tmp_path, counting()) as gateway:
        await ask(gateway, user("Hi"))
        regenerated = await ask(gateway, user("Hi"), trigger="regenerate-message")
        edited = await ask(gateway, user("Hello"), messageId="u1")
        kept = await stored(gateway)
    assert shown(regenerated) == ["Hi", "2"]
    assert shown(edited) == ["Hello", "3"]
    assert kept == ["Hi", "1", "2", "Hello", "3"]


async def test_a_tool_round_goes_on_in_its_message_and_stores_no_second_question(tmp_path: Path) -> None:
    async with served(tmp_path, counting()) as gateway:
        loaded = await ask(gateway, user("Weather?"))
        called = {**loaded[1], "parts": [{**loaded[1]["parts"][0], "output": "grey"}]}
        loaded = await ask(gateway, user("Weather?"), called, messageId=called["id"])
        after_tool = await stored(gateway)
        loaded = await ask(gateway, user("Weather?"), loaded[1], user("Thanks", "u2"))
        roles = [message["role"] for message in await gateway.messages()]
    assert after_tool == ["Weather?", "", "2"]
    assert roles == ["user", "assistant", "assistant", "user", "assistant"]
    assert shown(loaded) == ["Weather?", "2", "Thanks", "3"]
    assert loaded[1]["id"] == called["id"]


@pytest.mark.parametrize("said", [{"output": {"sky": "grey"}}, {"errorText": "no sight"}])
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_page_that_loads_gets_the_results_of_its_tools(
    tmp_path: Path, said: dict[str, Any], goes_on: bool
) -> None:
    async with served(tmp_path, counting()) as gateway:
        loaded = await ask(gateway, user("Weather?"))
        assert loaded[1]["parts"][0]["state"] == "input-available"
        state = "output-available" if "output" in said else "output-error"
        part = {**loaded[1]["parts"][0], "state": state, **said}
        called = {**loaded[1], "parts": [part]}
        if goes_on:
            loaded = await ask(gateway, user("Weather?"), called, messageId=called["id"])
        else:
            loaded = await ask(gateway, user("Weather?"), called, user("Never mind.", "u2"))
        assert loaded[1]["parts"][0] == part
        loaded = await ask(gateway, *loaded, user("Weather?", "u3"))
    assert loaded[1]["parts"][0] == part
    assert loaded[-1]["parts"][0]["state"] == "input-available"


async def test_a_tool_round_that_is_resumed_goes_on_in_its_message(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        if request.turns[-1].role == "user":
            return [[ToolCall("t1", "weather", "{}")], [Done("tool_calls")]]
        return [[Delta("It is ")], go_on.wait, [Delta("grey")], [Done("stop")]]

    async with served(tmp_path, script) as gateway:
        loaded = await ask(gateway, user("Weather?"))
        called = {**loaded[1], "parts": [{**loaded[1]["parts"][0], "output": "grey"}]}
        body = {"id": "c1", "messages": [user("Weather?"), called], "resumable": True}
        async with gateway.http.stream("POST", CHAT, json=body) as first:
            await anext(first.aiter_raw())
        async with gateway.http.stream("GET", f"{CHAT}/c1/stream") as resumed:
            go_on.set()
            heard = await resumed.aread()
    assert f'{{"type":"start","messageId":"{called["id"]}"}}'.encode() in heard


ROUNDS: dict[str, tuple[str, dict[str, Any], list[Any], list[Any]]] = {
    "openai": (
        "/v1/chat/completions",
        {"model": "tiny"},
        [{"role": "user", "content": "Weather?"}],
        [
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "grey"},
        ],
    ),
    "anthropic": (
        "/v1/messages",
        {"model": "tiny", "max_tokens": 9},
        [{"role": "user", "content": "Weather?"}],
        [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "grey"}]},
        ],
    ),
    "ollama": (
        CHAT,
        {"model": "tiny", "stream": False},
        [{"role": "user", "content": "Weather?"}],
        [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "w", "arguments": {}}}],
            },
            {"role": "tool", "content": "grey", "tool_name": "w"},
        ],
    ),
    "ag-ui": (
        "/api/ag-ui",
        {"threadId": "t", "runId": "r"},
        [{"id": "1", "role": "user", "content": "Weather?"}],
        [
            {
                "id": "2",
                "role": "assistant",
                "toolCalls": [
                    {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
                ],
            },
            {"id": "3", "role": "tool", "toolCallId": "t1", "content": "grey"},
        ],
    ),
    "responses": (
        "/v1/responses",
        {"model": "tiny"},
        [{"role": "user", "content": "Weather?"}],
        [
            {"type": "function_call", "call_id": "t1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "t1", "output": "grey"},
        ],
    ),
}


@pytest.mark.parametrize("api", ROUNDS)
async def test_a_tool_round_of_every_api_stores_its_question_once(tmp_path: Path, api: str) -> None:
    path, body, question, round_ = ROUNDS[api]
    field = "input" if api == "responses" else "messages"
    async with served(tmp_path, counting()) as gateway:
        for said in (question, [*question, *round_]):
            response = await gateway.http.post(path, json={**body, field: said})
            assert response.status_code == 200, response.text
        messages = await gateway.messages()
    assert [message["content"] for message in messages] == ["Weather?", "", "2"]
    assert [message["parent_id"] for message in messages] == [None, 1, 2]


async def test_a_response_goes_on_from_the_one_that_it_names(tmp_path: Path) -> None:
    async def ask(gateway: Served, said: Any, previous: str | None) -> Any:
        body = {"model": "tiny", "input": said, "previous_response_id": previous}
        return (await gateway.http.post("/v1/responses", json=body)).json()["id"]

    output = {"type": "function_call_output", "call_id": "t1", "output": "grey"}
    async with served(tmp_path, counting()) as gateway:
        called = await ask(gateway, "Weather?", None)
        one = await ask(gateway, [output], called)
        await ask(gateway, "Thanks", one)
        await ask(gateway, "Thanks", one)
        await ask(gateway, "Really?", one)
        messages = await gateway.messages()
    told = [(message["content"], message["parent_id"]) for message in messages]
    assert told == [
        ("Weather?", None), ("", 1), ("2", 2), ("Thanks", 3), ("3", 4), ("4", 4), ("Really?", 3), ("5", 7),
    ]  # fmt: skip


async def test_an_ag_ui_run_that_is_repeated_stores_the_question_once(tmp_path: Path) -> None:
    body = {"threadId": "t", "runId": "r"}
    async with served(tmp_path, counting()) as gateway:
        hi = [{"id": "1", "role": "user", "content": "Hi"}]
        first = await gateway.http.post("/api/ag-ui", json={**body, "messages": hi})
        stream_id = first.headers["sluice-stream-id"]
        answer = {"id": f"text-1-{stream_id}", "role": "assistant", "content": "1"}
        why = [*hi, answer, {"id": "2", "role": "user", "content": "Why?"}]
        for said in (why, why, hi):
            await gateway.http.post("/api/ag-ui", json={**body, "messages": said})
        messages = await gateway.messages()
    told = [(message["content"], message["parent_id"]) for message in messages]
    assert told == [("Hi", None), ("1", 1), ("Why?", 2), ("2", 3), ("3", 3), ("4", 1)]


@pytest.mark.parametrize("api", ["openai", "anthropic", "ollama", "responses", "completions"])
async def test_a_request_that_a_client_repeats_after_a_failure_stores_its_question_once(
    tmp_path: Path, api: str
) -> None:
    body: dict[str, Any] = {"prompt": "Weather?"}
    path = "/v1/completions"
    if api != "completions":
        path, body, question, _ = ROUNDS[api]
        body = {**body, "input" if api == "responses" else "messages": question}
    steps: list[Step] = [UpstreamFailed("It broke off."), UpstreamFailed("It broke off."), [Done("stop")]]
    async with served(tmp_path, lambda _: [[Delta("grey")], steps.pop(0)]) as gateway:
        statuses = [(await gateway.http.post(path, json=body)).status_code for _ in range(3)]
        messages = await gateway.messages()
    assert statuses == [502, 502, 200]
    assert [message["role"] for message in messages] == ["user", *["assistant"] * 3]
    assert {message["parent_id"] for message in messages[1:]} == {messages[0]["id"]}
