"""The OpenAI-compatible endpoints on a real socket: what they refuse, when the head comes, what is kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import ContextExceeded, GatewayError, Overloaded, Unreachable, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, Usage
from gateway.contract.requests import ChatRequest
from tests.web.gateway_server import Served, served
from transports.scripted import Step, tokens

COMPLETIONS = "/v1/chat/completions"
INFERENCE = "/api/v1/inference/stream"
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("gateway"), lambda _: tokens("x"), within_s=600) as gateway:
        yield gateway


def chunks_of(body: str) -> list[Any]:
    *frames, done = body.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


@pytest.mark.parametrize("path", [COMPLETIONS, INFERENCE])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[" * 100_000, None),
        (b"[]", "body"),
        (b"{}", "messages"),
        (b'{"messages": []}', "messages"),
        (b'{"messages": "Hi"}', "messages"),
        (b'{"messages": [{"role": "user"}]}', "messages.0.content"),
        (b'{"messages": [{"role": "function", "content": "x"}]}', "messages.0.role"),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            "messages.0.content.0.image_url",
        ),
        (b'{"messages": [{"role": "user", "content": "Hi"}], "n": 2}', "n"),
        (b'{"messages": [{"role": "user", "content": "Hi"}], "logprobs": true}', "logprobs"),
        (b'{"messages": [{"role": "user", "content": "Hi"}], "functions": []}', "functions"),
        (b'{"messages": [{"role": "user", "content": "Hi"}], "modalities": ["audio"]}', "modalities"),
        (b'{"messages": [{"role": "user", "content": "Hi"}], "temperature": "hot"}', "temperature"),
        (
            b'{"messages": [{"role": "user", "content": "Hi"}], "grammar": "' + b"x" * 70_000 + b'"}',
            "body",
        ),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else None,
)
async def test_what_does_not_fit_is_400_and_names_the_field(
    gateway: Served, path: str, body: bytes, param: str | None
) -> None:
    before = (await gateway.http.get("/api/chatbot/sessions")).json()
    answer = await gateway.http.post(path, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert (await gateway.http.get("/api/chatbot/sessions")).json() == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", COMPLETIONS, 405),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/models/none/at/all", 404),
        ("POST", "/v1/images/generations", 404),
        ("GET", INFERENCE, 405),
    ],
)
async def test_what_is_not_there_is_told_in_the_same_words(
    gateway: Served, method: str, path: str, status: int
) -> None:
    answer = await gateway.http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_the_whole_conversation_reaches_the_transport_as_it_was_sent(tmp_path: Path) -> None:
    heard: list[ChatRequest] = []

    def script(request: ChatRequest) -> Any:
        heard.append(request)
        return tokens("x")

    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be short.", "id": "1", "timestamp": 5},
            {"role": "user", "content": [{"type": "text", "text": "Hi "}, {"type": "text", "text": "you"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "max_completion_tokens": 7,
        "max_tokens": 5,
        "top_k": 3,
        "logit_bias": {"5": -100},
        "user": None,
    }
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(COMPLETIONS, json=body)
        question = (await gateway.messages())[0]
    assert answer.status_code == 200
    (request,) = heard
    assert [(turn.role, turn.content) for turn in request.turns] == [
        ("system", "Be short."),
        ("user", "Hi you"),
        ("assistant", ""),
        ("tool", "42"),
    ]
    assert request.turns[2].tool_calls == [call]
    assert request.turns[3].tool_call_id == "c1"
    assert request.sampling.max_tokens == 7
    assert request.sampling.options == {"top_k": 3, "logit_bias": {"5": -100}}
    assert question["content"] == "Hi you"


@pytest.mark.parametrize(
    ("said", "content", "reasoning"),
    [
        ({"content": "A", "reasoning_content": "hm"}, "A", "hm"),
        ({"content": "A", "reasoning": "hm"}, "A", "hm"),
        ({"content": "A", "reasoning": {"effort": "low"}}, "A", None),
        ({"content": "A", "reasoning_content": ""}, "A", None),
        ({"content": None, "reasoning_content": "hm"}, "", "hm"),
        ({"content": None, "refusal": "No."}, "No.", None),
    ],
)
async def test_earlier_turns_keep_what_the_model_thought(
    tmp_path: Path, said: dict[str, Any], content: str, reasoning: str | None
) -> None:
    heard: list[ChatRequest] = []

    def script(request: ChatRequest) -> Any:
        heard.append(request)
        return tokens("x")

    messages = [{"role": "assistant", "name": "anna", **said}, {"role": "user", "content": "Go on"}]
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(COMPLETIONS, json={"messages": messages})
    assert answer.status_code == 200, answer.text
    turn = heard[0].turns[0]
    assert (turn.content, turn.reasoning_content, turn.name) == (content, reasoning, "anna")


async def test_usage_is_a_chunk_of_its_own_where_it_is_asked_for_and_known(tmp_path: Path) -> None:
    script: list[Step] = [[Delta("a"), Usage(3, 1, 4), Done("length", "tiny")]]
    async with served(tmp_path, lambda _: script) as gateway:
        body = {"messages": ASKED, "stream": True}
        plain = chunks_of((await gateway.http.post(COMPLETIONS, json=body)).text)
        body["stream_options"] = {"include_usage": True}
        counted = chunks_of((await gateway.http.post(COMPLETIONS, json=body)).text)
    assert all("usage" not in chunk for chunk in plain)
    assert plain[-1]["choices"][0]["finish_reason"] == "length"
    assert [chunk["usage"] for chunk in counted[:-1]] == [None] * (len(counted) - 1)
    assert (counted[-1]["choices"], counted[-1]["usage"]["total_tokens"]) == ([], 4)


async def test_a_filtered_reply_says_so_and_is_kept_complete(tmp_path: Path) -> None:
    script: list[Step] = [[Delta("a"), Done("content_filter")]]
    async with served(tmp_path, lambda _: script) as gateway:
        streamed = chunks_of(
            (await gateway.http.post(COMPLETIONS, json={"messages": ASKED, "stream": True})).text
        )
        whole = (await gateway.http.post(COMPLETIONS, json={"messages": ASKED})).json()
        *_, done = await gateway.events({"content": "Hi"})
        kept = (await gateway.messages())[-1]
    assert streamed[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert whole["choices"][0]["finish_reason"] == "content_filter"
    assert (done["type"], done["reason"]) == ("done", "content_filter")
    assert (kept["status"], kept["reason"]) == ("complete", "content_filter")


async def test_an_unknown_usage_is_null_and_never_invented(gateway: Served) -> None:
    whole = (await gateway.http.post(COMPLETIONS, json={"messages": ASKED})).json()
    body = {"messages": ASKED, "stream": True, "stream_options": {"include_usage": True}}
    streamed = chunks_of((await gateway.http.post(COMPLETIONS, json=body)).text)
    assert whole["usage"] is None
    assert all(chunk["usage"] is None for chunk in streamed)


@pytest.mark.parametrize(
    ("error", "status", "type_", "code"),
    [
        (Unreachable("away"), 503, "server_error", "unreachable"),
        (UpstreamFailed("broken"), 502, "server_error", "upstream_error"),
        (Overloaded("full"), 503, "server_error", "overloaded"),
        (ContextExceeded("too long"), 400, "invalid_request_error", "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_before_the_first_word_is_a_real_status(
    tmp_path: Path, error: GatewayError, status: int, type_: str, code: str, stream: bool
) -> None:
    async with served(tmp_path, lambda _: [[Progress("prompt", processed=1, total=2)], error]) as gateway:
        answer = await gateway.http.post(COMPLETIONS, json={"messages": ASKED, "stream": stream})
        reply = (await gateway.messages())[1]
    told = answer.json()["error"]
    assert (answer.status_code, told["type"], told["code"]) == (status, type_, code)
    assert (reply["status"], reply["error"]["code"]) == ("failed", code)


async def test_a_failure_after_the_first_word_is_told_in_the_stream_without_done(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("Hel")], UpstreamFailed("broken")]) as gateway:
        answer = await gateway.http.post(COMPLETIONS, json={"messages": ASKED, "stream": True})
    last = answer.text.removesuffix("\n\n").split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_error"


async def test_the_head_comes_with_the_first_heartbeat_where_the_model_is_slow(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with served(tmp_path, lambda _: [held.wait, *tokens("x")], sse_ping_s=0.05) as gateway:
        body = {"messages": ASKED, "stream": True}
        async with gateway.http.stream("POST", COMPLETIONS, json=body) as response:
            held.set()
            text = (await response.aread()).decode()
    assert response.status_code == 200
    assert text.endswith("data: [DONE]\n\n")


async def test_a_client_that_leaves_before_the_first_word_stops_the_reply(tmp_path: Path) -> None:
    asked = asyncio.Event()

    def script(_: ChatRequest) -> Any:
        asked.set()
        return [asyncio.Event().wait]

    async with served(tmp_path, script) as gateway, asyncio.TaskGroup() as group:
        for number, stream in enumerate((True, False), 1):
            asked.clear()
            body = {"messages": ASKED, "stream": stream}
            asking = group.create_task(gateway.http.post(COMPLETIONS, json=body))
            await asked.wait()
            asking.cancel()
            await gateway.transport.idle()
            while (await gateway.messages())[number]["reason"] != "abandoned":
                pass


async def test_the_header_sluice_session_goes_on_with_a_session_by_id_or_key(gateway: Served) -> None:
    session = (await gateway.http.post("/api/chatbot/sessions", json={})).json()
    for name in (str(session["id"]), session["key"], session["uuid"]):
        answer = await gateway.http.post(
            COMPLETIONS, json={"messages": ASKED}, headers={"sluice-session": name}
        )
        assert answer.status_code == 200
    assert len(await gateway.messages(session["id"])) == 6
    for name in ("99999", "9" * 30, "local-none", ""):
        answer = await gateway.http.post(
            COMPLETIONS, json={"messages": ASKED}, headers={"sluice-session": name}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_the_inference_endpoint_always_streams(gateway: Served) -> None:
    body = {"messages": [{**ASKED[0], "id": "m1", "timestamp": "2026-01-01T00:00:00Z"}], "stream": False}
    answer = await gateway.http.post(INFERENCE, json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks_of(answer.text)) == "x"


async def test_the_same_idempotency_key_gives_the_same_completion(gateway: Served) -> None:
    headers = {"idempotency-key": "once"}
    first, again = [
        (await gateway.http.post(COMPLETIONS, json={"messages": ASKED}, headers=headers)).json()
        for _ in range(2)
    ]
    assert first == again


async def test_reasoning_and_tool_calls_are_in_the_whole_completion(tmp_path: Path) -> None:
    script: list[Step] = [
        [Reasoning("hm"), ToolCall("c1", "weather", '{"city": "Graz"}'), Done("tool_calls", "tiny")]
    ]
    async with served(tmp_path, lambda _: script) as gateway:
        told = (await gateway.http.post(COMPLETIONS, json={"messages": ASKED})).json()
    (choice,) = told["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Graz"}'},
            }
        ],
    }
