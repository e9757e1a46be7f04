"""Requests that real clients send and their APIs accept, although a strict reader would not."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.content import File, Image, Text, parts_of
from gateway.contract.requests import ChatRequest
from tests.web.chat.test_model_apis import PIXEL
from tests.web.gateway_server import served
from transports.scripted import tokens

HI = {"role": "user", "content": "Hi"}
FUNCTION = {"name": "f", "arguments": ""}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "4"}
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
AG_UI = {"threadId": "t", "runId": "r"}


async def asked(tmp_path: Path, path: str, body: dict[str, Any]) -> ChatRequest:
    """Ask, and return what came to the model."""
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        response = await gateway.http.post(path, json=body)
        assert response.status_code == 200, response.text
        (request,) = gateway.transport.seen_requests
    return request


def openai(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "/v1/chat/completions", {"messages": [HI, {"role": "assistant", "tool_calls": [call]}, RESULT]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        openai({"id": "c1", "type": "function", "function": FUNCTION}),
        openai({"id": "c1", "function": {"name": "f", "arguments": None}}),
        openai({"id": "c1", "type": None, "function": {"name": "f"}}),
        openai({"id": "c1", "type": "function", "function": {"name": "f", "arguments": {}}}),
        (
            "/v1/responses",
            {
                "input": [
                    HI,
                    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""},
                    {"type": "function_call_output", "call_id": "c1", "output": "4"},
                ]
            },
        ),
        (
            "/api/ag-ui",
            AG_UI
            | {
                "messages": [
                    {"id": "1", **HI},
                    {"id": "2", "role": "assistant", "toolCalls": [{"id": "c1", "function": FUNCTION}]},
                    {"id": "3", "role": "tool", "toolCallId": "c1", "content": "4"},
                ]
            },
        ),
        (
            "/api/chat",
            {
                "model": "tiny",
                "messages": [
                    HI,
                    {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f"}}]},
                    RESULT,
                ],
            },
        ),
        (
            "/api/chat",
            {
                "id": "c",
                "messages": [
                    {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]},
                    {
                        "id": "2",
                        "role": "assistant",
                        "parts": [{"type": "tool-f", "toolCallId": "c1", "input": "", "output": "4"}],
                    },
                ],
            },
        ),
    ],
)
async def test_a_call_without_arguments_has_an_empty_object(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    """llama.cpp answers 500 to empty arguments, for the whole conversation."""
    request = await asked(tmp_path, path, body)
    assert list(request.turns[1].tool_calls) == [CALLED]


async def test_a_turn_that_only_calls_a_tool_may_have_an_empty_list_as_its_text(tmp_path: Path) -> None:
    turns = [HI, {"role": "assistant", "content": [], "tool_calls": [CALLED]}, {**RESULT, "content": []}]
    request = await asked(tmp_path, "/v1/chat/completions", {"messages": turns})
    assert [turn.content for turn in request.turns] == ["Hi", "", ""]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/messages/stream"])
async def test_a_field_of_a_tool_that_is_null_is_absent(tmp_path: Path, path: str) -> None:
    """Clients in Python send it for a function without a docstring; llama.cpp answers 500."""
    function = {"name": "f", "description": None, "parameters": {"type": "object", "default": None}}
    tools = [{"type": "function", "function": function | {"strict": None}, "cache_control": None}]
    body = {"content": "Hi", "model": "tiny", "messages": [HI], "tools": tools}
    request = await asked(tmp_path, path, body)
    kept = {"name": "f", "parameters": {"type": "object", "default": None}}
    assert request.sampling.tools == [{"type": "function", "function": kept}]


SCHEMA = {"type": "object", "properties": {"sky": {"type": "string"}}}


@pytest.mark.parametrize("name", ["output_config", "output_format"])
async def test_anthropics_structured_outputs_come_to_the_model(tmp_path: Path, name: str) -> None:
    format = {"type": "json_schema", "schema": SCHEMA}
    config = {"format": format, "effort": "low"}
    body = {"messages": [HI], name: config if name == "output_config" else format}
    request = await asked(tmp_path, "/v1/messages", body)
    assert request.sampling.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": SCHEMA},
    }


@pytest.mark.parametrize("format", [{"type": "yaml"}, {"type": "json_schema"}, {}])
async def test_another_format_of_anthropics_is_refused(tmp_path: Path, format: dict[str, Any]) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        body = {"messages": [HI], "output_config": {"format": format}}
        response = await gateway.http.post("/v1/messages", json=body)
    assert response.status_code == 400
    assert "output_config.format" in response.json()["error"]["message"]


RAIN = {"type": "text", "text": "It rains."}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"source": {"type": "text", "media_type": "text/plain", "data": "It rains."}}, "It rains."),
        ({"source": {"type": "content", "content": "It rains."}}, "It rains."),
        ({"source": {"type": "content", "content": [RAIN, RAIN]}}, "It rains.\n\nIt rains."),
        (
            {"type": "search_result", "source": "https://a.example", "content": [RAIN]},
            "https://a.example\nIt rains.",
        ),
    ],
)
@pytest.mark.parametrize("in_result", [False, True])
async def test_the_model_can_tell_anthropics_documents_from_the_question(
    tmp_path: Path, block: dict[str, Any], told: str, in_result: bool
) -> None:
    document = {"type": "document", "title": "Weather", **block}
    content = [document, {"type": "text", "text": "So?"}]
    if in_result:
        content = [{"type": "tool_result", "tool_use_id": "c1", "content": content}]
    body = {"messages": [{"role": "user", "content": content}]}
    (turn,) = (await asked(tmp_path, "/v1/messages", body)).turns
    assert turn.as_json()["content"] == f"--- File: Weather ---\n{told}\n\nSo?"


async def test_anthropics_documents_may_have_images(tmp_path: Path) -> None:
    document = {"type": "document", "source": {"type": "content", "content": [RAIN, PICTURE]}}
    empty = {"type": "document", "source": {"type": "text", "data": ""}}
    body = {"messages": [{"role": "user", "content": [document, empty]}]}
    (turn,) = (await asked(tmp_path, "/v1/messages", body)).turns
    file, image, nothing = parts_of(turn.content)
    assert isinstance(file, File)
    assert (file.text, nothing) == ("It rains.", Text(""))
    assert image == Image("image/png", PIXEL)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_document_without_blocks_is_empty(tmp_path: Path, path: str) -> None:
    document = {"type": "document", "source": {"type": "content", "content": []}}
    body = {"messages": [{"role": "user", "content": [document]}]}
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        response = await gateway.http.post(path, json=body)
        turns = [turn for request in gateway.transport.seen_requests for turn in request.turns]
    assert response.status_code == (501 if path.endswith("tokens") else 200), response.text
    assert [(turn.role, turn.content) for turn in turns] in ([], [("user", "")])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat", "/messages/stream"])
async def test_a_body_may_begin_with_a_byte_order_mark(tmp_path: Path, path: str) -> None:
    """Files that were saved on Windows have one."""
    body = json.dumps({"content": "Hi", "model": "tiny", "messages": [HI]}).encode()
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        response = await gateway.http.post(path, content=codecs.BOM_UTF8 + body, headers=headers)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"instructions": "A", "input": [{"role": "developer", "content": "B"}, HI]}),
        ("/v1/responses", {"input": [{"role": "developer", "content": said} for said in "AB"] + [HI]}),
        (
            "/v1/messages",
            {"system": [{"type": "text", "text": "A"}], "messages": [{"role": "system", "content": "B"}, HI]},
        ),
        (
            "/api/ag-ui",
            AG_UI
            | {
                "context": [{"description": "A", "value": ""}],
                "messages": [{"id": "0", "role": "system", "content": "B"}, {"id": "1", **HI}],
            },
        ),
        (
            "/api/chat",
            {"model": "tiny", "messages": [{"role": "system", "content": said} for said in "AB"] + [HI]},
        ),
        (
            "/api/chat",
            {
                "id": "c",
                "system": "A",
                "messages": [
                    {"role": "system", "parts": [{"type": "text", "text": "B"}]},
                    {"role": "user", "parts": [{"type": "text", "text": "Hi"}]},
                ],
            },
        ),
    ],
)
async def test_the_model_gets_one_system_message_at_the_beginning(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    """Codex sends two developer messages; the templates of Qwen 3.5 and others refuse a second one."""
    turns = (await asked(tmp_path, path, body)).turns
    assert [turn.role for turn in turns] == ["system", "user"]
    assert turns[0].content == ("A: \n\nB" if path == "/api/ag-ui" else "A\n\nB")


async def test_no_logprobs_may_be_asked_for(tmp_path: Path) -> None:
    body = {"messages": [HI], "logprobs": False, "top_logprobs": 0}
    assert (await asked(tmp_path, "/v1/chat/completions", body)).sampling.options == {}


async def test_null_is_absent_for_ollama(tmp_path: Path) -> None:
    body = {"model": None, "messages": [HI], "options": {"top_k": None, "stop": None, "min_p": 0.1}}
    assert (await asked(tmp_path, "/api/chat", body)).sampling.options == {"min_p": 0.1}


@pytest.mark.parametrize(
    ("said", "role"), [("User", "user"), ("SYSTEM", "system"), ("developer", "system"), ("Tool", "tool")]
)
async def test_ollama_reads_roles_in_any_case(tmp_path: Path, said: str, role: str) -> None:
    body = {"model": "tiny", "messages": [{"role": said, "content": "Hi"}]}
    (turn,) = (await asked(tmp_path, "/api/chat", body)).turns
    assert turn.role == role


@pytest.mark.parametrize("name", ["tool_name", "name"])
async def test_ollamas_results_belong_to_the_tools_they_name(tmp_path: Path, name: str) -> None:
    calls: list[dict[str, Any]] = [{"function": {"name": tool, "arguments": {}}} for tool in ("f", "g", "f")]
    results = [{"role": "tool", name: tool, "content": tool} for tool in ("g", "f", "f")]
    body = {"model": "tiny", "messages": [HI, {"role": "assistant", "tool_calls": calls}, *results]}
    _, called, *answers = (await asked(tmp_path, "/api/chat", body)).turns
    ids = [call["id"] for call in called.tool_calls]
    expected = [ids[1], ids[0], ids[2]] if name == "tool_name" else ids
    assert [turn.tool_call_id for turn in answers] == expected


async def test_ollamas_images_may_have_line_breaks(tmp_path: Path) -> None:
    image = f"{PIXEL[:40]}\r\n{PIXEL[40:]}\n"
    body = {"model": "tiny", "messages": [HI | {"images": [image]}]}
    (turn,) = (await asked(tmp_path, "/api/chat", body)).turns
    assert turn.content[1] == Image("image/png", PIXEL)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"keep_alive": 0}, "unload"),
        ({"keep_alive": "0s", "messages": None, "prompt": None}, "unload"),
        ({"keep_alive": "10m"}, "load"),
        ({"keep_alive": -1}, "load"),
        ({"keep_alive": None}, "load"),
    ],
)
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_ollamas_empty_requests_load_or_unload(
    tmp_path: Path, path: str, more: dict[str, Any], reason: str
) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        response = await gateway.http.post(path, json={"model": "tiny", **more})
    assert (response.status_code, response.json().get("done_reason")) == (200, reason)
