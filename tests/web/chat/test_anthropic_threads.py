"""Anthropic's threads: a request with only its new messages goes on after a message of ours."""

from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, ToolCall
from gateway.contract.requests import ChatRequest, Turn
from tests.dialects.order import anthropic
from tests.web.embedding_model import embedding_model
from tests.web.gateway_server import Served, served
from transports.scripted import Step, tokens

PATH = "/v1/messages"
CREATE = {"type": "create"}
TOOL = {"name": "weather", "description": "Of a city", "input_schema": {"type": "object"}}
FIRST: dict[str, Any] = {
    "model": "tiny",
    "max_tokens": 50,
    "system": "Be kind.",
    "temperature": 0.5,
    "tools": [TOOL],
    "messages": [{"role": "user", "content": "Rain?"}],
    "thread": CREATE,
}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "wet"}]}


def script(request: ChatRequest) -> list[Step]:
    if request.turns[-1].role == "tool":
        return tokens("It ", "rains.")
    return [[Delta("Let me look.")], [ToolCall("c1", "weather", "{}"), Done("tool_calls", "tiny")]]


def after(message: dict[str, Any], *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    thread = {"type": "continue", "previous_message_id": message["id"]}
    return {"model": "tiny", "max_tokens": 60, "messages": list(messages), "thread": thread, **more}


async def post(gateway: Served, body: dict[str, Any]) -> dict[str, Any]:
    answer = await gateway.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_it_goes_on_with_the_threads_messages_tools_and_sampling(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        first = await post(gateway, FIRST)
        second = await post(gateway, after(first, RESULT))
        asked = gateway.transport.seen_requests[-1]
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
        kept = await gateway.messages(sessions[0]["id"])
    assert [block["type"] for block in first["content"]] == ["text", "tool_use"]
    assert second["content"] == [{"type": "text", "text": "It rains."}]
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert list(asked.turns) == [
        Turn("system", "Be kind."),
        Turn("user", "Rain?"),
        Turn("assistant", "Let me look.", tool_calls=[call]),
        Turn("tool", "wet", tool_call_id="c1"),
    ]
    assert (asked.sampling.temperature, asked.sampling.max_tokens) == (0.5, 60)
    assert [tool["function"]["name"] for tool in asked.sampling.tools or ()] == ["weather"]
    assert len(sessions) == 1
    assert [message["content"] for message in kept] == ["Rain?", "Let me look.", "It rains."]


async def test_it_goes_on_after_a_restart_and_as_a_stream(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        first = await post(gateway, FIRST)
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json={**after(first, RESULT), "stream": True})
        third = after(
            {"id": f"msg_{answer.headers['sluice-stream-id']}"}, {"role": "user", "content": "Thanks"}
        )
        await post(gateway, third)
        asked = gateway.transport.seen_requests[-1]
    assert anthropic.hear(answer.content).text == "It rains."
    assert [turn.role for turn in asked.turns] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert asked.turns[4].content == "It rains."
    assert len(asked.sampling.tools or ()) == 1


async def test_a_second_request_may_replace_a_setting_for_those_after_it(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        first = await post(gateway, FIRST)
        second = await post(gateway, after(first, RESULT, temperature=0.9))
        await post(gateway, after(second, {"role": "user", "content": "Thanks"}))
        asked = gateway.transport.seen_requests[-1]
    assert asked.sampling.temperature == 0.9


async def test_one_message_may_be_continued_twice(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        first = await post(gateway, FIRST)
        for _ in range(2):
            assert (await post(gateway, after(first, RESULT)))["content"][0]["text"] == "It rains."


async def test_count_tokens_counts_the_whole_thread(tmp_path: Path) -> None:
    model = embedding_model(script)
    async with served(tmp_path, script, sse=model) as gateway:
        first = await post(gateway, FIRST)
        counted = await gateway.http.post(f"{PATH}/count_tokens", json=after(first, RESULT))
    assert counted.json() == {"input_tokens": 4}


async def test_count_tokens_is_501_where_nobody_counts(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    async with served(tmp_path, script) as gateway:
        counted = await gateway.http.post(f"{PATH}/count_tokens", json=body)
        bad = await gateway.http.post(f"{PATH}/count_tokens", json={"messages": "Hi"})
    assert counted.status_code == 501
    assert counted.json()["error"]["type"] == "api_error"
    assert counted.headers["x-should-retry"] == "false"
    assert (bad.status_code, bad.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "message_id", [f"msg_{'0' * 32}", "msg_0", "", "msg_" + "A" * 32, "resp_" + "0" * 32, "a\0b", "x" * 5000]
)
async def test_an_unknown_message_makes_clients_send_everything(tmp_path: Path, message_id: str) -> None:
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json=after({"id": message_id}, RESULT))
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert answer.json()["error"]["details"] == {"error_code": "thread_not_found"}
    assert sessions == []


async def test_a_message_without_a_thread_and_one_that_failed_cannot_be_continued(tmp_path: Path) -> None:
    failing: list[Step] = [[Delta("Hel")], UpstreamFailed("The model server broke off.")]
    plain = {name: value for name, value in FIRST.items() if name != "thread"}
    async with served(tmp_path, script) as gateway:
        first = await post(gateway, plain)
        lam = await gateway.http.post("/messages/stream", json={"content": "Hi"})
        answers = [
            await gateway.http.post(PATH, json=after({"id": message_id}, RESULT))
            for message_id in (first["id"], f"msg_{lam.headers['sluice-stream-id']}")
        ]
    async with served(tmp_path, lambda _: failing) as gateway:
        broken = await gateway.http.post(PATH, json={**FIRST, "stream": True})
        message_id = f"msg_{broken.headers['sluice-stream-id']}"
        answers.append(await gateway.http.post(PATH, json=after({"id": message_id}, RESULT)))
    assert [answer.json()["error"]["details"]["error_code"] for answer in answers] == ["thread_not_found"] * 3


@pytest.mark.parametrize(
    "thread", [{}, {"type": "end"}, {"type": "continue"}, {"type": "continue", "previous_message_id": 7}, []]
)
async def test_other_threads_are_refused(tmp_path: Path, thread: object) -> None:
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json={**FIRST, "thread": thread})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "thread" in answer.json()["error"]["message"]


async def test_a_thread_that_gets_too_long_is_refused_with_a_reason(tmp_path: Path) -> None:
    many = [{"role": "user", "content": "Rain?"}] * 1500
    async with served(tmp_path, script) as gateway:
        first = await post(gateway, {**FIRST, "messages": many})
        answer = await gateway.http.post(PATH, json=after(first, *many))
    assert answer.status_code == 400
    assert "thread" in answer.json()["error"]["message"]
