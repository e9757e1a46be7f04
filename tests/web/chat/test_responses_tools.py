"""Tools of `POST /v1/responses` as agents send them: functions, custom ones, namespaces, OpenAI's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Done, ToolCall
from gateway.contract.requests import ChatRequest
from tests.dialects.order import responses
from tests.web.chat.test_responses import PATH, events_in
from tests.web.gateway_server import served
from transports.scripted import Step, tokens

AGENTS = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Tools for sub-agents.",
    "tools": [
        {"type": "function", "name": "close_agent", "strict": False, "parameters": {"type": "object"}},
        {"type": "function", "name": "wait", "strict": False, "parameters": {"type": "object"}},
    ],
}
EXEC = {"type": "function", "name": "exec_command", "strict": False, "parameters": {"type": "object"}}
SEARCH = {"type": "web_search", "external_web_access": True}
ASKED: dict[str, Any] = {
    "model": "tiny",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "tools": [EXEC, AGENTS, SEARCH],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01a2291b",
    "client_metadata": {"session_id": "01a2291b"},
}
"""As Codex sends it, abridged."""


def calls(request: ChatRequest) -> list[Step]:
    """Call a tool of a namespace and one that is in none; answer their results."""
    if request.turns[-1].role == "tool":
        return tokens("Both are done.")
    called = [
        ToolCall("c1", "multi_agent_v1__wait", "{}"),
        ToolCall("c2", "exec_command", "{}"),
    ]
    return [called, [Done("tool_calls", "tiny")]]


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_in_a_namespace_has_its_name_and_namespace(
    tmp_path: Path, store: bool, stream: bool
) -> None:
    async with served(tmp_path, calls) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, "store": store, "stream": stream})
        assert response.status_code == 200, response.text
        told = events_in(response)[-1]["response"] if stream else response.json()
        results = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}
            for item in told["output"]
        ]
        again = {**ASKED, "store": store, "input": [*ASKED["input"], *told["output"], *results]}
        second = await gateway.http.post(PATH, json=again)
        asked, answered = gateway.transport.seen_requests
    assert asked.sampling.tools is not None
    assert [tool["function"]["name"] for tool in asked.sampling.tools] == [
        "exec_command",
        "multi_agent_v1__close_agent",
        "multi_agent_v1__wait",
    ]
    in_namespace, in_none = told["output"]
    assert (in_namespace["namespace"], in_namespace["name"]) == ("multi_agent_v1", "wait")
    assert ("namespace" in in_none, in_none["name"]) == (False, "exec_command")
    assert [tool["type"] for tool in told["tools"]] == ["function", "namespace"]
    assert [call["function"]["name"] for call in answered.turns[1].tool_calls] == [
        "multi_agent_v1__wait",
        "exec_command",
    ]
    assert second.json()["output"][0]["content"][0]["text"] == "Both are done."
    if stream:
        assert responses.hear(response.content).tools == (("wait", "{}"), ("exec_command", "{}"))


async def test_a_stored_call_keeps_its_namespace(tmp_path: Path) -> None:
    async with served(tmp_path, calls, journal_ttl_s=0) as gateway:
        live = events_in(await gateway.http.post(PATH, json={**ASKED, "stream": True}))
        told = live[-1]["response"]
        path = f"{PATH}/{told['id']}"
        assert (await gateway.http.get(path)).json() == told
        assert events_in(await gateway.http.get(f"{path}?stream=true")) == live
        results = [{"type": "function_call_output", "call_id": id, "output": "ok"} for id in ("c1", "c2")]
        more = {**ASKED, "previous_response_id": told["id"], "input": results}
        assert (await gateway.http.post(PATH, json=more)).status_code == 200
        _, answered = gateway.transport.seen_requests
    assert answered.turns[1].tool_calls[0]["function"]["name"] == "multi_agent_v1__wait"


PATCH = '*** Begin Patch\n*** Add File: "a"\n+\u00e9\n*** End Patch\n'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: line+"}
APPLY_PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": GRAMMAR}
NOTES = {
    "type": "namespace",
    "name": "notes",
    "description": "Notes.",
    "tools": [{"type": "custom", "name": "add"}],
}


def patches(request: ChatRequest) -> list[Step]:
    """Call two custom tools, the second with arguments of another shape; answer their results."""
    if request.turns[-1].role == "tool":
        return tokens("Both are done.")
    called = [ToolCall("c1", "apply_patch", json.dumps({"input": PATCH})), ToolCall("c2", "notes__add", "[1")]
    return [called, [Done("tool_calls", "tiny")]]


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_custom_tool_gets_its_text(tmp_path: Path, store: bool, stream: bool) -> None:
    asked_for = {**ASKED, "tools": [APPLY_PATCH, NOTES], "store": store}
    async with served(tmp_path, patches) as gateway:
        response = await gateway.http.post(PATH, json={**asked_for, "stream": stream})
        assert response.status_code == 200, response.text
        told = events_in(response)[-1]["response"] if stream else response.json()
        if store:
            assert (await gateway.http.get(f"{PATH}/{told['id']}")).json() == told
        results = [
            {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "ok"}
            for item in told["output"]
        ]
        more = [{"type": "item_reference", "id": item["id"]} if store else item for item in told["output"]]
        again = {**asked_for, "input": [*ASKED["input"], *more, *results]}
        second = await gateway.http.post(PATH, json=again)
        asked, answered = gateway.transport.seen_requests
    assert asked.sampling.tools is not None
    first, _ = (tool["function"] for tool in asked.sampling.tools)
    assert first["description"] == "Edits files.\n\nThe input follows this lark grammar:\nstart: line+"
    assert list(first["parameters"]["properties"]) == ["input"]
    assert [
        (item["type"], item.get("namespace"), item["name"], item["input"]) for item in told["output"]
    ] == [
        ("custom_tool_call", None, "apply_patch", PATCH),
        ("custom_tool_call", "notes", "add", "[1"),
    ]
    called = [call["function"] for call in answered.turns[1].tool_calls]
    assert [json.loads(function["arguments"])["input"] for function in called] == [PATCH, "[1"]
    assert [function["name"] for function in called] == ["apply_patch", "notes__add"]
    assert second.json()["output"][0]["content"][0]["text"] == "Both are done."
    if stream:
        assert responses.hear(response.content).tools == (("apply_patch", PATCH), ("add", "[1"))


async def test_tools_come_as_an_item_too(tmp_path: Path) -> None:
    """Codex sends all tools so to newer models."""
    given = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [AGENTS, SEARCH]}
    asked_for = {**ASKED, "tools": [EXEC], "input": [given, *ASKED["input"]]}
    async with served(tmp_path, calls) as gateway:
        told = (await gateway.http.post(PATH, json=asked_for)).json()
        results = [{"type": "function_call_output", "call_id": id, "output": "ok"} for id in ("c1", "c2")]
        more = {**ASKED, "tools": [EXEC], "previous_response_id": told["id"]}
        for again in ([], [given]):
            assert (await gateway.http.post(PATH, json={**more, "input": [*again, *results]})).is_success
        seen = gateway.transport.seen_requests
    for request in seen:
        assert request.sampling.tools is not None
        assert [tool["function"]["name"] for tool in request.sampling.tools] == [
            "exec_command",
            "multi_agent_v1__close_agent",
            "multi_agent_v1__wait",
        ]
    assert [turn.role for turn in seen[0].turns] == ["user"]
    assert (told["output"][0]["namespace"], told["output"][0]["name"]) == ("multi_agent_v1", "wait")


@pytest.mark.parametrize("tools", [None, ["x"], [{"type": "mcp"}]])
async def test_wrong_tools_of_an_item_are_refused(tmp_path: Path, tools: object) -> None:
    given = {"type": "additional_tools", "role": "developer", "tools": tools}
    async with served(tmp_path, calls) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, "input": [*ASKED["input"], given]})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"].startswith("input.1.tools")


MANY = [{"type": "function", "name": f"t{n}"} for n in range(513)]


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ([SEARCH], "tools.0.type"),
        ([EXEC, {"type": "code_interpreter"}], "tools.1.type"),
        ([{"type": "namespace", "name": 1, "tools": []}], "tools.0.name"),
        ([{"type": "custom"}], "tools.0.name"),
        ([{**AGENTS, "tools": None}], "tools.0.tools"),
        ([{**AGENTS, "tools": ["x"]}], "tools.0.tools.0"),
        ([{**AGENTS, "tools": [{"type": "namespace", "name": "x", "tools": []}]}], "tools.0.tools.0.type"),
        ([AGENTS, {**EXEC, "name": "multi_agent_v1__wait"}], "tools.1.name"),
        ([{**EXEC, "name": "multi_agent_v1__wait"}, AGENTS], "tools.1.tools.1.name"),
        ([{**AGENTS, "tools": MANY}], "tools"),
    ],
)
async def test_other_tools_are_refused_by_name(tmp_path: Path, tools: list[Any], field: str) -> None:
    async with served(tmp_path, calls) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, "tools": tools})
        assert gateway.transport.seen_requests == []
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == field
