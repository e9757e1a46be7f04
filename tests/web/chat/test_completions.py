"""OpenAI's older completions through the whole gateway: stream, whole, several prompts, bad input."""

from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import NotSupported, UpstreamFailed
from gateway.contract.events import Delta, Done, Usage
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Abilities
from tests.dialects.order import completions
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, Step

PATH = "/v1/completions"
ASKED = {"model": "tiny", "prompt": "Behind the"}


def script(request: ChatRequest) -> list[Step]:
    return [
        [Delta(f"{request.turns[0].content} ")],
        [Delta("house."), Usage(2, 3, 5), Done("length", "tiny")],
    ]


async def test_a_whole_answer(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json={**ASKED, "temperature": 0.5, "top_k": 4})
        request = gateway.transport.seen_requests[-1]
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
        kept = await gateway.messages(sessions[0]["id"])
    told = answer.json()
    assert told["choices"] == [
        {"index": 0, "text": "Behind the house.", "logprobs": None, "finish_reason": "length"}
    ]
    assert (told["object"], told["model"], told["usage"]["total_tokens"]) == ("text_completion", "tiny", 5)
    assert told["id"] == f"cmpl-{answer.headers['sluice-stream-id']}"
    assert (request.raw, list(request.turns)) == (True, [Turn("user", "Behind the")])
    assert (request.sampling.max_tokens, request.sampling.temperature) == (16, 0.5)
    assert request.sampling.options == {"top_k": 4}
    assert [message["content"] for message in kept] == ["Behind the", "Behind the house."]


async def test_a_stream_with_usage(tmp_path: Path) -> None:
    body = {**ASKED, "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 3}
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json=body)
    heard = completions.hear(answer.content)
    assert (heard.text, heard.ends) == ("Behind the house.", ("complete",))
    assert '"total_tokens":5' in answer.text


async def test_several_prompts_get_a_choice_each(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json={"prompt": ["One", "Two", "Three"]})
    told = answer.json()
    assert [choice["text"] for choice in told["choices"]] == ["One house.", "Two house.", "Three house."]
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2]
    assert told["usage"] == {"prompt_tokens": 6, "completion_tokens": 9, "total_tokens": 15}


async def test_one_of_several_that_fails_is_the_answers_error(tmp_path: Path) -> None:
    def failing(request: ChatRequest) -> list[Step]:
        broken = request.turns[0].content == "Two"
        return [UpstreamFailed("The model server broke off.")] if broken else script(request)

    async with served(tmp_path, failing) as gateway:
        answer = await gateway.http.post(PATH, json={"prompt": ["One", "Two", "Three"]})
        assert len(gateway.transport.seen_requests) == 2
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


async def test_a_stream_is_resumed_in_its_own_form(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        first = await gateway.http.post(
            PATH, json={**ASKED, "stream": True}, headers={"sluice-resumable": "1"}
        )
        again = await gateway.http.get(first.headers["sluice-resume-url"])
    assert completions.hear(again.content).text == "Behind the house."


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": ["a", ""]}, "prompt"),
    ({"prompt": ["a"] * 17}, "prompt"),
    ({"prompt": ["a"] * 10_000}, "prompt"),
    ({"prompt": [1, 2]}, "prompt"),
    ({"prompt": [[1, 2]]}, "prompt"),
    ({"prompt": {"a": 1}}, "prompt"),
    ({"prompt": ["a", "b"], "stream": True}, "prompt"),
    ({"prompt": "a" * 40_000}, "prompt"),
    ({"prompt": "a", "n": 2}, "n"),
    ({"prompt": "a", "best_of": 2}, "best_of"),
    ({"prompt": "a", "echo": True}, "echo"),
    ({"prompt": "a", "suffix": "b"}, "suffix"),
    ({"prompt": "a", "logprobs": 1}, "logprobs"),
    ({"prompt": "a", "n": [{}]}, "n"),
    ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    ({"prompt": "a", "stop": 5}, "stop"),
    ({"prompt": "a", "grammar": "(" * 500}, "grammar"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_input_is_refused_by_name(tmp_path: Path, body: dict[str, Any], field: str) -> None:
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json=body)
        assert not gateway.transport.seen_requests
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).partition(".")[0] == field


async def test_several_prompts_have_no_idempotency_key(tmp_path: Path) -> None:
    async with served(tmp_path, script) as gateway:
        answers = [
            await gateway.http.post(PATH, json={"prompt": prompts}, headers={"idempotency-key": "k"})
            for prompts in (["a", "b"], ["a"], ["a"])
        ]
        assert len(gateway.transport.seen_requests) == 1
    assert [answer.status_code for answer in answers] == [400, 200, 200]
    assert answers[1].json() == answers[2].json()


async def test_what_a_client_sends_by_default_is_accepted(tmp_path: Path) -> None:
    usual = {"n": 1, "best_of": 1, "echo": False, "suffix": None, "logprobs": None, "user": "a"}
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(PATH, json={**ASKED, **usual, "prompt": "a\0b"})
        assert gateway.transport.seen_requests[-1].turns[0].content == "a\0b"
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "asked"),
    [(PATH, ASKED), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]})],
)
async def test_a_maximum_of_minus_one_is_no_limit(tmp_path: Path, path: str, asked: dict[str, Any]) -> None:
    async with served(tmp_path, script) as gateway:
        answer = await gateway.http.post(path, json={**asked, "max_tokens": -1})
        refused = [await gateway.http.post(path, json={**asked, "max_tokens": below}) for below in (0, -2)]
        (request,) = gateway.transport.seen_requests
    assert (answer.status_code, request.sampling.max_tokens) == (200, None)
    assert [(one.status_code, one.json()["error"]["param"]) for one in refused] == [(400, "max_tokens")] * 2


async def test_mode_auto_passes_over_a_transport_that_takes_chats_only(tmp_path: Path) -> None:
    def refuse(request: ChatRequest) -> None:
        if request.raw:
            raise NotSupported("Chats only.")

    chats_only = ScriptedTransport(script, name="sse", abilities=Abilities(check=refuse))
    other = ScriptedTransport(script, name="mqtt")
    async with served(tmp_path, script, sse=chats_only, mqtt=other, llm_comm_mode="auto") as gateway:
        assert (await gateway.http.post(PATH, json=ASKED)).status_code == 200
        alone = await gateway.http.post(PATH, json=ASKED)
    assert len(other.seen_requests) == 2
    assert alone.status_code == 200
    async with served(tmp_path, script, sse=chats_only) as gateway:
        refused = await gateway.http.post(PATH, json={**ASKED, "stream": True})
        kept = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    assert (refused.status_code, refused.json()["error"]["code"]) == (501, "not_supported")
    assert refused.headers["x-should-retry"] == "false"
    assert len(kept) == 1  # of the first gateway, on the same database
