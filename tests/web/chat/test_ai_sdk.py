"""The AI SDK's chats through the whole gateway: ask, read on from the beginning, stop, load."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.content import Image
from gateway.contract.errors import NoWorker
from gateway.contract.events import Delta, Done, Reasoning, ToolCall
from tests.dialects.order import ai_sdk
from tests.web.chat.test_model_apis import PIXEL
from tests.web.gateway_server import served
from transports.scripted import Step, tokens

CHAT = "/api/chat"
RESUMABLE = {"sluice-resumable": "1"}


def user(*parts: dict[str, Any], id: str = "m1") -> dict[str, Any]:
    return {"id": id, "role": "user", "parts": list(parts)}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def asked(*messages: dict[str, Any], chat: str = "c1") -> dict[str, Any]:
    return {"id": chat, "messages": list(messages), "trigger": "submit-message"}


async def test_it_streams_and_keeps_the_conversation_in_one_session(tmp_path: Path) -> None:
    script: list[Step] = [[Reasoning("hm")], [Delta("Hel")], [Delta("lo")], [Done("stop", "tiny")]]
    async with served(tmp_path, lambda _: script) as gateway:
        first = await gateway.http.post(CHAT, json=asked(user(text("Hi"))))
        alone = {"id": "c1", "message": user(text("And?"), id="m2")}
        second = await gateway.http.post(CHAT, json=alone)
        other = await gateway.http.post(CHAT, json=asked(user(text("Hi")), chat="c2"))
        listed = (await gateway.http.get("/api/chatbot/sessions")).json()
        loaded = (await gateway.http.get(f"{CHAT}/c1/messages")).json()
        requests = gateway.transport.seen_requests
    for response in (first, second, other):
        said = ai_sdk.hear(response.content)
        assert (said.text, said.reasoning, said.ends) == ("Hello", "hm", ("complete",))
        assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert len(listed) == 2
    assert [turn.content for turn in requests[1].turns] == ["Hi", "Hello", "And?"]
    assert [message["role"] for message in loaded] == ["user", "assistant"] * 2
    started = json.loads(first.content.split(b"\n")[0].removeprefix(b"data: "))
    assert started == {"type": "start", "messageId": loaded[1]["id"]}
    assert loaded[1]["parts"] == [
        {"type": "reasoning", "text": "hm", "state": "done"},
        {"type": "text", "text": "Hello", "state": "done"},
    ]


async def test_a_page_may_send_a_long_conversation(tmp_path: Path) -> None:
    many = [{**user(text(str(number))), "role": ("user", "assistant")[number % 2]} for number in range(1025)]
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        response = await gateway.http.post(CHAT, json=asked(*many))
        (request,) = gateway.transport.seen_requests
    assert response.status_code == 200, response.text
    assert len(request.turns) == len(many)


async def test_tools_and_files_come_to_the_model(tmp_path: Path) -> None:
    assistant = {
        "id": "a1",
        "role": "assistant",
        "parts": [
            {"type": "step-start"},
            {"type": "reasoning", "text": "hm"},
            text("Let me look."),
            {
                "type": "tool-weather",
                "toolCallId": "t1",
                "state": "output-available",
                "input": {"city": "Graz"},
                "output": {"sky": "grey"},
            },
            {"type": "step-start"},
            text("It is grey."),
        ],
    }
    image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PIXEL}"}
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        response = await gateway.http.post(CHAT, json=asked(user(text("See"), image), assistant))
        (request,) = gateway.transport.seen_requests
    question, called, result, grey = request.turns
    assert isinstance(question.content, tuple)
    assert isinstance(question.content[1], Image)
    assert (called.content, called.reasoning_content) == ("Let me look.", "hm")
    assert called.tool_calls[0]["function"] == {"name": "weather", "arguments": '{"city":"Graz"}'}
    assert (result.tool_call_id, result.content, grey.content) == ("t1", '{"sky":"grey"}', "It is grey.")
    # A tool round goes on in the message that the page holds: a new id would double it.
    assert b'{"type":"start","messageId":"a1"}' in response.content


async def test_a_page_that_loads_again_sends_the_same_files(tmp_path: Path) -> None:
    notes = {
        "type": "file",
        "mediaType": "text/markdown",
        "filename": "a.md",
        "url": "data:text/markdown;base64,SGk=",
    }
    image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PIXEL}"}
    sound = {"type": "file", "mediaType": "audio/mpeg", "url": "data:audio/mpeg;base64,SGk="}
    sent = [text("See"), notes, image, sound, text("and that")]
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        await gateway.http.post(CHAT, json=asked(user(*sent)))
        loaded = (await gateway.http.get(f"{CHAT}/c1/messages")).json()
        again = {**asked(loaded[0]), "trigger": "regenerate-message", "messageId": loaded[1]["id"]}
        await gateway.http.post(CHAT, json=again)
        first, second = gateway.transport.seen_requests
        stored = await gateway.messages()
    assert loaded[0]["parts"] == sent
    assert first.turns == second.turns
    assert [message["role"] for message in stored] == ["user", "assistant", "assistant"]


async def test_a_page_that_loads_again_hears_the_reply_from_its_beginning(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("Hel")], go_on.wait, [Delta("lo")], [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway:
        nothing = await gateway.http.get(f"{CHAT}/c1/stream")
        async with gateway.http.stream(
            "POST", CHAT, json=asked(user(text("Hi"))), headers=RESUMABLE
        ) as response:
            async for chunk in response.aiter_raw():
                if b"Hel" in chunk:
                    break
        loaded = (await gateway.http.get(f"{CHAT}/c1/messages")).json()
        async with gateway.http.stream("GET", f"{CHAT}/c1/stream") as resumed:
            go_on.set()
            body = await resumed.aread()
        over = await gateway.http.get(f"{CHAT}/c1/stream")
    assert [nothing.status_code, over.status_code] == [204, 204]
    assert [message["role"] for message in loaded] == ["user"]  # the running reply is left out
    assert ai_sdk.hear(body).text == "Hello"


async def test_stop_ends_the_reply_and_is_the_same_where_nothing_runs(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("on and on")]]) as gateway:
        async with gateway.http.stream(
            "POST", CHAT, json=asked(user(text("Hi"))), headers=RESUMABLE
        ) as response:
            body = b""
            async for chunk in response.aiter_raw():
                if b"on and on" in body + chunk and b"[DONE]" not in body + chunk:
                    stopped = await gateway.http.post(f"{CHAT}/c1/stop", json={})
                body += chunk
        again = await gateway.http.post(f"{CHAT}/c1/stop", json={})
        (_, reply) = await gateway.messages()
    assert (stopped.json(), again.json()) == ({"stopped": True}, {"stopped": False})
    assert ai_sdk.hear(body).ends == ("cancelled",)
    assert (reply["status"], reply["reason"]) == ("cancelled", "user_stop")


@pytest.mark.parametrize(
    "body",
    [
        {"id": "c1", "messages": [{"role": "user", "parts": []}]},
        {"id": "c1", "messages": [{"role": "user", "parts": [{"type": "file", "mediaType": "x"}]}]},
        {"id": "c1", "message": {"role": "user", "parts": "Hi"}},
        {"id": "c1", "message": {"role": "robot", "parts": []}},
        {"message": user(text("Hi"))},
        asked(user({"type": "file", "mediaType": "image/png", "url": "https://example.com/a.png"})),
    ],
)
async def test_wrong_bodies_are_refused_in_plain_text(tmp_path: Path, body: dict[str, Any]) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.post(CHAT, json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.startswith("The request does not fit: ")


async def test_an_early_failure_is_a_status_whose_body_people_can_read(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [NoWorker("No worker is ready.")]) as gateway:
        response = await gateway.http.post(CHAT, json=asked(user(text("Hi"))))
    assert (response.status_code, response.text) == (503, "No worker is ready.")


async def test_a_tool_call_of_the_model_is_told(tmp_path: Path) -> None:
    script: list[Step] = [[ToolCall("t1", "weather", '{"city":"Graz"}')], [Done("tool_calls")]]
    async with served(tmp_path, lambda _: script) as gateway:
        response = await gateway.http.post(CHAT, json=asked(user(text("Hi"))))
        loaded = (await gateway.http.get(f"{CHAT}/c1/messages")).json()
    assert ai_sdk.hear(response.content).tools == (("weather", {"city": "Graz"}),)
    assert loaded[1]["parts"] == [
        {"type": "tool-weather", "toolCallId": "t1", "state": "input-available", "input": {"city": "Graz"}}
    ]


EMPTY: dict[str, Any] = {"tools": {}, "config": {}}


async def test_assistant_uis_tools_and_instructions_come_to_the_model(tmp_path: Path) -> None:
    """Its transport sends both in every request, also without any: `"tools": {}`."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    sent: dict[str, Any] = {
        "callSettings": None,
        "system": "Be brief.",
        "tools": {"weather": {"description": "d", "parameters": schema}, "clock": {}},
    }
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        for more in (EMPTY, sent):
            response = await gateway.http.post(CHAT, json={**asked(user(text("Hi"))), **more})
            assert response.status_code == 200, response.text
        wrong = await gateway.http.post(CHAT, json={**asked(user(text("Hi"))), "tools": {"weather": 7}})
        first, second = gateway.transport.seen_requests
    assert [turn.role for turn in first.turns] == ["user"]
    assert [(turn.role, turn.content) for turn in second.turns] == [("system", "Be brief."), ("user", "Hi")]
    assert second.sampling.tools == [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": schema}},
        {"type": "function", "function": {"name": "clock"}},
    ]
    assert (wrong.status_code, "tools: must be a list" in wrong.text) == (422, True)


@pytest.mark.parametrize("state", ["approval-responded", "output-denied"])
async def test_the_model_is_told_that_the_user_denied_a_tool(tmp_path: Path, state: str) -> None:
    reasons: list[dict[str, str]] = [{}, {"reason": "Too much."}]
    denied = [
        {
            "type": "tool-pay",
            "toolCallId": id,
            "state": state,
            "input": {},
            "approval": {"id": "a", "approved": False, **reason},
        }
        for id, reason in zip(("t1", "t2"), reasons, strict=True)
    ]
    assistant = {"id": "a1", "role": "assistant", "parts": [{"type": "step-start"}, *denied]}
    async with served(tmp_path, lambda _: tokens("Well.")) as gateway:
        await gateway.http.post(CHAT, json=asked(user(text("Pay")), assistant))
        (request,) = gateway.transport.seen_requests
    told = [(turn.tool_call_id, turn.content) for turn in request.turns if turn.role == "tool"]
    assert told == [("t1", "Tool call execution denied."), ("t2", "Too much.")]
