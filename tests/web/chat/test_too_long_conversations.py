"""Clients of model APIs shorten a conversation and ask again only if the error's message says what they seek.

LangChain looks for "prompt is too long", CrewAI for "maximum context length", LiteLLM for these or the words
of llama.cpp. OpenAI's Python client from version 3 on leaves the code out of its exception's text.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import ContextExceeded
from gateway.contract.events import Delta
from tests.web.gateway_server import served
from transports.scripted import Step

HI = [{"role": "user", "content": "Hi"}]
APIS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat completions": ("/v1/chat/completions", {"messages": HI}),
    "responses": ("/v1/responses", {"input": "Hi"}),
    "anthropic": ("/v1/messages", {"max_tokens": 9, "messages": HI}),
}
OF_LLAMA = "request (5011 tokens) exceeds the available context size (1024 tokens), try increasing it"
SOUGHT = ("prompt is too long", "maximum context length", OF_LLAMA)

apis = pytest.mark.parametrize("api", APIS)


@apis
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_before_the_first_word_has_the_words_that_clients_look_for(
    tmp_path: Path, api: str, stream: bool
) -> None:
    path, body = APIS[api]
    async with served(tmp_path, lambda _: [ContextExceeded(OF_LLAMA)]) as gateway:
        answer = await gateway.http.post(path, json={"model": "tiny", "stream": stream, **body})
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert all(words in message for words in SOUGHT), message


@apis
async def test_so_has_an_error_in_the_stream(tmp_path: Path, api: str) -> None:
    path, body = APIS[api]
    script: list[Step] = [[Delta("x")], ContextExceeded(OF_LLAMA)]
    async with served(tmp_path, lambda _: script) as gateway:
        answer = await gateway.http.post(path, json={"model": "tiny", "stream": True, **body})
    assert answer.status_code == 200
    assert all(words in answer.text for words in SOUGHT), answer.text


async def test_anthropics_error_in_the_stream_has_the_type_of_one_before_it(tmp_path: Path) -> None:
    """Pydantic AI looks for "prompt is too long" in errors of this type alone, and retries an `api_error`."""
    path, body = APIS["anthropic"]
    script: list[Step] = [[Delta("x")], ContextExceeded(OF_LLAMA)]
    async with served(tmp_path, lambda _: script) as gateway:
        answer = await gateway.http.post(path, json={"model": "tiny", "stream": True, **body})
    last = answer.text.rstrip().rpartition("data: ")[2]
    assert json.loads(last)["error"]["type"] == "invalid_request_error"


async def test_words_that_are_there_already_are_not_repeated(tmp_path: Path) -> None:
    path, body = APIS["anthropic"]
    said = f"prompt is too long for the model's maximum context length: {OF_LLAMA}"
    async with served(tmp_path, lambda _: [ContextExceeded(said)]) as gateway:
        answer = await gateway.http.post(path, json={"model": "tiny", **body})
    assert answer.json()["error"]["message"] == said
