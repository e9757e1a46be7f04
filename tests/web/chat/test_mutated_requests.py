"""Each API's own requests, broken in one or two places: never a 5xx, the API's own error, nothing stored."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.web.chat.ai_sdk_form import is_ui_chat
from tests.web.chat.mutations import mutants
from tests.web.embedding_model import embedding_model
from tests.web.error_shapes import is_anthropics, is_ollamas, is_openais, is_problem
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = f"data:image/png;base64,{PIXEL}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "d", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Graz"}'}}
SAMPLING = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["END"]}

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "unified": (
        STREAM,
        {
            "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
            "system_prompt": "Be brief.",
            "tools": [TOOL],
            "tool_choice": "auto",
            "response_format": {"type": "json_object"},
            "options": {"top_k": 4},
            "resumable": False,
            "model": "tiny",
            **SAMPLING,
        },
    ),
    "openai": (
        "/v1/chat/completions",
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE}}]},
            ],
            "stream": True,
            "stream_options": {"include_usage": False},
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
            "max_completion_tokens": 9,
            "logit_bias": {"7": -100},
            **SAMPLING,
        },
    ),
    "completions": (
        "/v1/completions",
        {
            **{"model": "tiny", "prompt": ["Behind the"], "stream": True, "max_tokens": 9, "suffix": None},
            **{"echo": False, "n": 1, "logprobs": None, "stream_options": {"include_usage": False}},
            **SAMPLING,
        },
    ),
    "responses": (
        "/v1/responses",
        {
            "model": "tiny",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": "Hi"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]},
                {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
            ],
            "tools": [{"type": "function", "strict": True, **FUNCTION}],
            "tool_choice": {"type": "function", "name": "weather"},
            "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
            "reasoning": {"effort": "low", "summary": "auto"},
            "metadata": {"a": "b"},
            "conversation": {"id": "c"},
            "max_output_tokens": 9,
            "parallel_tool_calls": True,
            "truncation": "auto",
            "store": True,
            "stream": True,
            "background": False,
            "temperature": 0.5,
            "user": "u",
        },
    ),
    "anthropic": (
        "/v1/messages",
        {
            "model": "tiny",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "Hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Graz"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "c1",
                            "content": [{"type": "text", "text": "x"}],
                        },
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                        },
                        {"type": "document", "source": {"type": "text", "data": "d"}, "title": "t"},
                    ],
                },
            ],
            "tools": [{"name": "weather", "description": "d", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "weather"},
            "thinking": {"type": "enabled", "budget_tokens": 9},
            "thread": {"type": "create"},
            "metadata": {"user_id": "u"},
            "stop_sequences": ["END"],
            "stream": True,
            "temperature": 0.5,
            "top_k": 4,
        },
    ),
    "anthropic count": (
        "/v1/messages/count_tokens",
        {
            "model": "tiny",
            "system": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "tools": [{"name": "weather", "input_schema": SCHEMA}],
        },
    ),
    "ollama chat": (
        "/api/chat",
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi", "images": [PIXEL]},
                {
                    "role": "assistant",
                    "content": "",
                    "thinking": "hm",
                    "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Graz"}}}],
                },
                {"role": "tool", "tool_name": "weather", "content": "sunny"},
            ],
            "tools": [TOOL],
            "options": {**SAMPLING, "num_predict": 9, "num_ctx": 9, "top_k": 4},
            "format": SCHEMA,
            "think": True,
            "stream": True,
            "keep_alive": "5m",
        },
    ),
    "ollama generate": (
        "/api/generate",
        {
            **{"model": "tiny", "prompt": "Hi", "system": "Be brief.", "images": [PIXEL], "format": "json"},
            **{"options": {"seed": 7, "stop": "END"}, "think": "low", "stream": True, "keep_alive": 0},
        },
    ),
    "ai-sdk": (
        "/api/chat",
        {
            "id": "chat",
            "messages": [
                {
                    "id": "m1",
                    "role": "user",
                    "parts": [
                        {"type": "text", "text": "Hi"},
                        {"type": "file", "mediaType": "image/png", "url": IMAGE, "filename": "a.png"},
                    ],
                },
                {
                    "id": "m2",
                    "role": "assistant",
                    "parts": [
                        {"type": "step-start"},
                        {"type": "reasoning", "text": "hm", "state": "done"},
                        {"type": "text", "text": "I look.", "state": "done"},
                        {
                            "type": "tool-weather",
                            "toolCallId": "c1",
                            "state": "output-available",
                            "input": {"city": "Graz"},
                            "output": {"sky": "blue"},
                        },
                        {"type": "dynamic-tool", "toolName": "t", "toolCallId": "c2", "errorText": "no"},
                    ],
                },
            ],
            "trigger": "submit-message",
            "messageId": "m2",
            "resumable": False,
            "tools": [TOOL],
            "model": "tiny",
            **SAMPLING,
        },
    ),
    "ai-sdk message": (
        "/api/chat",
        {
            "id": "chat2",
            "message": {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]},
            "trigger": "regenerate-message",
        },
    ),
    "ag-ui": (
        "/api/ag-ui",
        {
            "threadId": "t",
            "runId": "r",
            "protocolVersion": "1.0",
            "messages": [
                {"id": "1", "role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"id": "2", "role": "assistant", "content": "I look.", "toolCalls": [CALL]},
                {"id": "3", "role": "tool", "toolCallId": "c1", "content": "sunny"},
                {"id": "4", "role": "activity", "content": {"a": "b"}},
            ],
            "tools": [FUNCTION],
            "context": [{"description": "d", "value": "v"}],
            "state": {"a": 1},
            "forwardedProps": {"model": "tiny"},
        },
    ),
    "ollama embed": ("/api/embed", {"model": "tiny", "input": ["Hi"], "dimensions": 3, "truncate": True}),
    "ollama show": ("/api/show", {"model": "tiny", "verbose": False}),
    "embeddings": (
        "/v1/embeddings",
        {"model": "tiny", "input": ["Hi"], "dimensions": 3, "encoding_format": "float", "user": "u"},
    ),
}


MUTANTS = 60
"""Broken variants of each request."""


def _is_text(response: httpx.Response) -> bool:
    return response.headers["content-type"].startswith("text/plain") and response.text != ""


def _is_api_chats(response: httpx.Response) -> bool:
    return (_is_text if is_ui_chat(response.request.content) else is_ollamas)(response)


SHAPES: dict[str, Callable[[httpx.Response], bool]] = {
    **{"unified": is_problem, "openai": is_openais, "completions": is_openais, "responses": is_openais},
    **{"anthropic": is_anthropics, "anthropic count": is_anthropics, "ollama generate": is_ollamas},
    **{"ollama chat": _is_api_chats, "ai-sdk": _is_api_chats, "ai-sdk message": _is_api_chats},
    **{"ag-ui": is_problem, "ollama embed": is_ollamas, "ollama show": is_ollamas, "embeddings": is_openais},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
async def gateway(folder: Path) -> AsyncIterator[Served]:
    model = embedding_model(lambda _: tokens("x"))
    async with served(folder, lambda _: [], sse=model, within_s=240, rate_per_minute=1_000_000) as gateway:
        yield gateway


def rows(folder: Path) -> dict[str, int]:
    """Return the number of rows of each table."""
    with closing(sqlite3.connect(folder / "gateway.db")) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in tables)  # noqa: S608
        return dict(opened.execute(counts))


@pytest.mark.parametrize("api", REQUESTS)
async def test_its_own_request_is_answered(gateway: Served, api: str) -> None:
    path, body = REQUESTS[api]
    response = await gateway.http.post(path, json=body)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("api", REQUESTS)
async def test_a_broken_request_has_the_apis_own_error_and_leaves_nothing(
    gateway: Served, folder: Path, api: str
) -> None:
    path, body = REQUESTS[api]
    for sent in mutants(body, MUTANTS, seed=len(api)):
        before = rows(folder)
        response = await gateway.http.post(path, content=sent, headers={"content-type": "application/json"})
        case = (sent[:2000], response.status_code, response.text[:500])
        assert response.status_code < 500, case
        if response.status_code >= 400:
            assert SHAPES[api](response), case
            assert rows(folder) == before, case
