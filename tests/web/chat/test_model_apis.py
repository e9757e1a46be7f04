"""The model APIs besides OpenAI's through the whole gateway: streams, whole answers, tools and errors."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.content import Image
from gateway.contract.errors import NoWorker, UpstreamFailed
from gateway.contract.events import Delta, Done, Reasoning, ToolCall, Usage
from gateway.contract.requests import Turn
from tests.dialects.order import ag_ui, anthropic, ollama
from tests.dialects.order.frames import Heard
from tests.web.gateway_server import served
from transports.scripted import Step, tokens

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HI = [{"role": "user", "content": "Hi"}]
RAIN = {"type": "text", "text": "rain"}
IMAGE_AT_AN_ADDRESS = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
APIS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("/v1/messages", {"model": "tiny", "max_tokens": 9, "messages": HI}),
    "ollama chat": ("/api/chat", {"model": "tiny", "messages": HI}),
    "ollama generate": ("/api/generate", {"model": "tiny", "prompt": "Hi"}),
    "ag-ui": (
        "/api/ag-ui",
        {"threadId": "t", "runId": "r", "protocolVersion": "1.0", "messages": [{"id": "1", **HI[0]}]},
    ),
}
HEAR = {"anthropic": anthropic.hear, "ollama chat": ollama.hear, "ollama generate": ollama.hear}
HEAR |= {"ag-ui": ag_ui.hear}
ANSWER: list[Step] = [
    [Reasoning("Hm, ")],
    [Reasoning("well.")],
    [Delta("Let me "), Delta("look: ")],
    [ToolCall("c1", "weather", '{"city": "Graz"}'), ToolCall("c2", "clock", '{"tz": ')],
    [Usage(11, 7, 18, 40.0)],
    [Done("tool_calls", "tiny")],
]

apis = pytest.mark.parametrize("api", APIS)


def streamed(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "stream": True}


def heard(api: str, response: httpx.Response) -> Heard:
    assert response.status_code == 200, response.text
    return HEAR[api](response.content)


@apis
async def test_it_streams_a_reply_with_reasoning_and_tools(tmp_path: Path, api: str) -> None:
    path, body = APIS[api]
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        response = await gateway.http.post(path, json=streamed(body))
        (_, reply) = await gateway.messages()
    said = heard(api, response)
    assert (said.text, said.reasoning) == ("Let me look: ", "Hm, well.")
    if api != "ollama generate":
        assert [name for name, _ in said.tools] == ["weather", "clock"]
    assert said.ends == ("complete",)
    assert reply["content"] == "Let me look: "
    assert response.headers["sluice-stream-id"] == reply["stream_id"]


@apis
async def test_a_failure_in_the_middle_is_its_own_error(tmp_path: Path, api: str) -> None:
    path, body = APIS[api]
    script: list[Step] = [[Delta("Hel")], UpstreamFailed("The model server broke off.")]
    async with served(tmp_path, lambda _: script) as gateway:
        response = await gateway.http.post(path, json=streamed(body))
    said = heard(api, response)
    assert (said.text, said.ends) == ("Hel", ("error",))
    assert said.error == "The model server broke off."


@apis
async def test_a_failure_before_the_first_token_is_a_status(tmp_path: Path, api: str) -> None:
    path, body = APIS[api]
    async with served(tmp_path, lambda _: [NoWorker("No worker is ready.")]) as gateway:
        response = await gateway.http.post(path, json=streamed(body))
    assert response.status_code == (529 if api == "anthropic" else 503)
    assert "No worker is ready." in response.text
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("api", [api for api in APIS if api != "ag-ui"])
async def test_it_answers_in_one_piece(tmp_path: Path, api: str) -> None:
    path, body = APIS[api]
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        told = (await gateway.http.post(path, json={**body, "stream": False})).json()
    if api == "anthropic":
        thinking, text, call, broken = told["content"]
        assert (thinking["thinking"], text["text"]) == ("Hm, well.", "Let me look: ")
        assert (call["id"], call["name"], call["input"]) == ("c1", "weather", {"city": "Graz"})
        assert broken["input"] == {"arguments": '{"tz": '}
        assert told["stop_reason"] == "tool_use"
        assert told["usage"] == {"input_tokens": 11, "output_tokens": 7}
        return
    message = told["message"] if api == "ollama chat" else {"content": told["response"], **told}
    assert (message["content"], message["thinking"]) == ("Let me look: ", "Hm, well.")
    assert (told["done"], told["prompt_eval_count"], told["eval_count"]) == (True, 11, 7)


async def test_anthropics_conversation_comes_to_the_model_whole(tmp_path: Path) -> None:
    body = {
        "model": "tiny",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief."}],
        "tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "x"},
                    {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Graz"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [{"type": "text", "text": "rain"}],
                    },
                    {"type": "text", "text": "So?"},
                ],
            },
        ],
    }
    async with served(tmp_path, lambda _: tokens("It rains.")) as gateway:
        assert (await gateway.http.post("/v1/messages", json=body)).status_code == 200
        (request,) = gateway.transport.seen_requests
    assert [turn.role for turn in request.turns] == ["system", "user", "assistant", "tool", "user"]
    _, image, called, result, asked = request.turns
    assert isinstance(image.content, tuple)
    assert isinstance(image.content[1], Image)
    assert called.reasoning_content == "hm"
    assert json.loads(called.tool_calls[0]["function"]["arguments"]) == {"city": "Graz"}
    assert (result.content, result.tool_call_id, asked.content) == ("rain", "c1", "So?")
    assert request.sampling.tool_choice == {"type": "function", "function": {"name": "weather"}}
    assert (request.sampling.max_tokens, request.sampling.stop) == (9, ["END"])
    assert request.sampling.options == {"parallel_tool_calls": False}


@pytest.mark.parametrize("stream", [True, False])
async def test_ollamas_clients_may_divide_by_the_duration(tmp_path: Path, stream: bool) -> None:
    path, body = APIS["ollama chat"]
    script: list[Step] = [[Delta("Hi")], [Usage(11, 7, 18)], [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway:
        answer = (await gateway.http.post(path, json={**body, "stream": stream})).text
    told = json.loads(answer.splitlines()[-1])
    assert told["eval_count"] == 7
    assert told["total_duration"] >= told["eval_duration"] > 0


async def test_ollamas_conversation_comes_to_the_model_whole(tmp_path: Path) -> None:
    body = {
        "model": "tiny",
        "options": {"num_predict": 5, "temperature": 0, "top_k": 3, "num_ctx": 4096},
        "format": {"type": "object"},
        "think": "low",
        "messages": [
            {"role": "user", "content": "And this?", "images": [PIXEL]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "rain", "tool_name": "f"},
        ],
    }
    async with served(tmp_path, lambda _: tokens("It rains.")) as gateway:
        assert (await gateway.http.post("/api/chat", json=body)).status_code == 200
        (request,) = gateway.transport.seen_requests
    image, called, result = request.turns
    assert isinstance(image.content, tuple)
    assert result.tool_call_id == called.tool_calls[0]["id"]
    sampling = request.sampling
    thinks = {"enable_thinking": True, "reasoning_effort": "low"}
    assert (sampling.max_tokens, sampling.temperature) == (5, 0)
    assert sampling.options == {"top_k": 3, "chat_template_kwargs": thinks}
    assert sampling.response_format is not None


async def test_a_raw_prompt_of_ollamas_gets_no_template(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("It rains.")) as gateway:
        asked = {"model": "tiny", "prompt": "[INST] Rain? [/INST]", "raw": True}
        answer = await gateway.http.post("/api/generate", json={**asked, "suffix": "", "stream": False})
        (request,) = gateway.transport.seen_requests
        refused = [
            await gateway.http.post("/api/generate", json={**asked, **wrong})
            for wrong in ({"system": "Be brief."}, {"images": [PIXEL]}, {"suffix": "}"})
        ]
    assert answer.json()["response"] == "It rains."
    assert (request.raw, list(request.turns)) == (True, [Turn("user", "[INST] Rain? [/INST]")])
    assert [each.status_code for each in refused] == [400, 400, 400]


async def test_requests_without_a_session_share_a_hidden_one(tmp_path: Path) -> None:
    openai = ("/v1/chat/completions", {"model": "tiny", "messages": HI})
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        for path, body in (*APIS.values(), openai):
            for _ in range(2):
                assert (await gateway.http.post(path, json=body)).status_code == 200
        listed = (await gateway.http.get("/api/chatbot/sessions")).json()
        everything = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    assert len(listed) == 1  # AG-UI's thread is named
    assert len(everything) == 4  # OpenAI's, Anthropic's and Ollama's beside it


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"messages": []}),
        ("/v1/messages", {"messages": [{"role": "user", "content": []}]}),
        ("/v1/messages", {"messages": [*HI, {"role": "user", "content": []}]}),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
        ),
        ("/v1/messages", {"messages": HI, "tools": [{"type": "web_search_20250305", "name": "x"}]}),
        ("/v1/messages", {"messages": HI, "tools": [{"name": f"t{n}"} for n in range(10_000)]}),
        ("/api/chat", {"messages": [{"role": "user", "content": "x", "images": ["not base64!"]}]}),
        ("/api/chat", {"messages": HI, "options": {"temperature": "hot"}}),
        ("/api/chat", {"messages": HI, "format": "yaml"}),
        ("/api/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"role": "tool", "content": "x"}]}),
        ("/api/ag-ui", {"threadId": "t", "messages": HI}),
    ],
)
async def test_wrong_requests_are_refused_in_the_apis_own_shape(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.post(path, json=body)
        assert await gateway.http.get("/api/chatbot/sessions?all=1") is not None
        assert gateway.transport.seen_requests == []
    assert response.status_code == (422 if path == "/api/ag-ui" else 400)
    told = response.json()
    if path == "/v1/messages":
        assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
    elif path == "/api/chat":
        assert list(told) == ["error"]


async def test_ollamas_version_is_one_that_has_all_of_its_apis(tmp_path: Path) -> None:
    """Codex asks for 0.13.4, which has Responses; Anthropic's Messages came with 0.14.0."""
    async with served(tmp_path, lambda _: []) as gateway:
        version = (await gateway.http.get("/api/version")).json()["version"]
    assert tuple(int(part) for part in version.split(".")) >= (0, 14, 0)


async def test_an_empty_request_of_ollamas_loads_the_model(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        chat = (await gateway.http.post("/api/chat", json={"model": "tiny"})).json()
        generate = (await gateway.http.post("/api/generate", json={"model": "tiny"})).json()
    assert (chat["done"], chat["done_reason"], chat["message"]["content"]) == (True, "load", "")
    assert (generate["done"], generate["done_reason"], generate["response"]) == (True, "load", "")


OLLAMAS = ["/api/chat", "/api/generate", "/api/show", "/api/embed", "/api/embeddings"]


@pytest.mark.parametrize("path", OLLAMAS)
async def test_ollamas_bodies_need_no_media_type_unless_a_page_sends_them(tmp_path: Path, path: str) -> None:
    body = json.dumps({"model": "scripted", "messages": HI, "prompt": "", "input": []}).encode()
    form = {"content-type": "application/x-www-form-urlencoded"}  # curl's, in Ollama's own examples
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        own = {"origin": gateway.url}
        sent: list[dict[str, str]] = [{}, form, form | own, form | {"sec-fetch-site": "same-origin"}]
        answers = [await gateway.http.post(path, content=body, headers=headers) for headers in sent]
        wrong = await gateway.http.post(path, content=b"model=tiny", headers=form)
    assert [answer.status_code for answer in answers[2:]] == [415, 415]
    assert 415 not in [answer.status_code for answer in answers[:2]]
    assert (wrong.status_code, list(wrong.json())) == (400, ["error"])
