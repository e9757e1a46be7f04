"""The transport over HTTP: what it asks for, what it makes of the answer, and that leaving is stopping."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.contract.errors import (
    ModelRefused,
    ProtocolViolation,
    TimedOut,
    Unreachable,
    UpstreamFailed,
)
from gateway.contract.events import Delta, Done, TransportEvent, Usage
from gateway.contract.requests import ChatRequest, Sampling, Turn
from tests.reading import events_of, reading
from tests.transports.llama import captures
from tests.transports.llama.model_server import MODELS, REPLY, Server, transport_to
from tests.transports.llama.raw_server import RawServer, raw_server
from transports.llama import replies
from transports.llama.transport import LlamaTransport

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
ONE_TOKEN = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


@pytest.fixture
def server() -> Server:
    return Server()


def chat(
    content: str = "hi", *, model: str | None = None, trace: str | None = None, **sampling: Any
) -> ChatRequest:
    turns = [Turn("system", "be brief"), Turn("user", content)]
    return ChatRequest("0" * 32, turns, Sampling(**sampling), model=model, session="s-1", trace=trace)


async def reply(transport: LlamaTransport, request: ChatRequest | None = None) -> list[TransportEvent | Done]:
    return await events_of(transport, request or chat())


def test_what_is_no_url_of_a_server_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="must begin with http"):
        LlamaTransport("llama:8080")


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
@pytest.mark.parametrize("root", ["http://llama:8080", "https://host/prefix"])
async def test_the_url_may_end_with_v1_and_a_slash_or_without(server: Server, root: str, ending: str) -> None:
    server.answers["/prefix/v1/chat/completions"] = REPLY
    await reply(transport_to(server, root + ending))
    assert str(server.asked[0].url) == root + "/v1/chat/completions"


async def test_it_asks_for_a_stream_with_usage(server: Server) -> None:
    await reply(transport_to(server), chat("hello"))
    assert server.body() == {
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_what_the_model_thought_before_is_sent_back_to_it(server: Server) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        Turn("assistant", "", tool_calls=[call], reasoning_content="hm"),
        Turn("tool", "4", tool_call_id="c1", name="f"),
    ]
    await reply(transport_to(server), ChatRequest("0" * 32, turns))
    assert server.body()["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "content": "4", "tool_call_id": "c1", "name": "f"},
    ]


async def test_sampling_goes_by_its_openai_names(server: Server) -> None:
    await reply(transport_to(server), chat(temperature=0.0, max_tokens=5, stop=["x"], seed=7))
    assert {"temperature": 0.0, "max_tokens": 5, "stop": ["x"], "seed": 7}.items() <= server.body().items()


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({"stop": ""}, {}),
        ({"stop": [""]}, {}),
        ({"stop": []}, {}),
        ({"stop": ["", "x"]}, {"stop": ["x"]}),
        ({"stop": "x"}, {"stop": "x"}),
        ({"tools": []}, {}),
        ({"tools": [], "tool_choice": "auto"}, {}),
        ({"tool_choice": "none"}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tools": [{}], "tool_choice": "auto"}, {"tools": [{}], "tool_choice": "auto"}),
    ],
)
async def test_settings_that_ask_for_nothing_are_not_sent(
    server: Server, said: dict[str, Any], sent: dict[str, Any]
) -> None:
    """llama.cpp ends at an empty stop text at once; vLLM refuses a choice without tools."""
    await reply(transport_to(server), chat(**said))
    body = server.body()
    assert {name: body[name] for name in ("stop", "tools", "tool_choice") if name in body} == sent


async def test_options_are_merged_but_override_nothing_that_was_said_otherwise(server: Server) -> None:
    options = {"top_k": 4, "stream": False, "messages": [], "stream_options": None, "temperature": 9}
    await reply(transport_to(server), chat(temperature=0.5, options=options))
    body = server.body()
    assert body["top_k"] == 4
    assert body["temperature"] == 0.5
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert len(body["messages"]) == 2
    assert options["stream"] is False  # the caller's mapping is left alone


async def test_only_the_headers_that_are_meant_for_the_server_are_sent(server: Server) -> None:
    await reply(transport_to(server, api_key="sk-1"), chat(trace="00-1-2-01"))
    sent = {name: value for name, value in server.asked[0].headers.items() if name != "content-length"}
    assert sent == {
        "host": "llama:8080",
        "user-agent": "sluice",
        "content-type": "application/json",
        "authorization": "Bearer sk-1",
        "traceparent": "00-1-2-01",
    }


@pytest.mark.parametrize("model", [None, "other"])
async def test_while_models_are_unknown_the_request_is_left_as_it_is(
    server: Server, model: str | None
) -> None:
    transport = transport_to(server)
    assert list(transport.models()) == []
    await reply(transport, chat(model=model))
    assert server.body().get("model") == model


@pytest.mark.parametrize(("asked", "served"), [(None, "big"), ("other", "big"), ("small", "small")])
async def test_a_model_that_is_not_listed_means_the_default(
    server: Server, asked: str | None, served: str
) -> None:
    server.answers |= {"/health": httpx.Response(200), "/v1/models": httpx.Response(200, json=MODELS)}
    transport = transport_to(server)
    await transport.health()
    assert list(transport.models()) == ["big", "small"]
    await reply(transport, chat(model=asked))
    assert server.body()["model"] == served


@pytest.mark.parametrize(("owner", "asked"), [("llamacpp", True), ("vllm", False), (None, False)])
async def test_progress_is_asked_of_llama_cpp_only(server: Server, owner: str | None, asked: bool) -> None:
    server.answers["/v1/models"] = httpx.Response(200, json={"data": [{"id": "m", "owned_by": owner}]})
    transport = transport_to(server)
    await transport.health()
    await reply(transport)
    assert ("return_progress" in server.body()) is asked


async def test_text_that_cannot_be_written_as_utf8_is_the_requests_fault(server: Server) -> None:
    with pytest.raises(ModelRefused):
        await reply(transport_to(server), chat("half a pair: \ud800"))
    assert server.asked == []


async def test_a_stream_is_read_to_its_done(server: Server) -> None:
    events = await reply(transport_to(server))
    assert [type(event) for event in events] == [*[Delta] * 6, Usage, Done]


async def test_events_of_one_read_are_pushed_together(server: Server) -> None:
    async with reading(transport_to(server), chat()) as batches:
        assert [len(batch) async for batch in batches] == [7, 1]


async def test_an_answer_of_plain_json_is_one_batch(server: Server) -> None:
    body = captures.body("chat_nostream")
    headers = {"content-type": "application/json; charset=utf-8"}
    server.answers["/v1/chat/completions"] = httpx.Response(200, headers=headers, content=body)
    async with reading(transport_to(server), chat()) as batches:
        heard = [batch async for batch in batches]
    assert len(heard) == 1
    assert [type(event) for event in heard[0]] == [Delta, Usage, Done]
    done = heard[0][-1]
    assert isinstance(done, Done)
    assert list(done.whole or ()) == list(heard[0][:-1])


async def test_an_answer_of_another_kind_is_a_violation(server: Server) -> None:
    headers = {"content-type": "text/html"}
    server.answers["/v1/chat/completions"] = httpx.Response(200, headers=headers, content=b"<html>")
    with pytest.raises(ProtocolViolation):
        await reply(transport_to(server))


async def test_an_unstreamed_answer_is_not_read_without_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "MAX_ANSWER_BYTES", 10)
    server.answers["/v1/chat/completions"] = httpx.Response(200, json={"choices": []})
    with pytest.raises(ProtocolViolation, match="exceeds 10 bytes"):
        await reply(transport_to(server))


async def test_a_refusal_carries_the_servers_own_words(server: Server) -> None:
    too_long = captures.body("err_too_long_stream")
    server.answers["/v1/chat/completions"] = httpx.Response(400, content=too_long)
    with pytest.raises(ModelRefused, match=r"request \(8020 tokens\) exceeds"):
        await reply(transport_to(server))


async def test_an_endless_refusal_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MAX_REFUSAL_BYTES", 10)
    server.answers["/v1/chat/completions"] = httpx.Response(400, json={"error": {"message": "long"}})
    with pytest.raises(ModelRefused, match="status 400"):
        await reply(transport_to(server))


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        yield server


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with asyncio.timeout(30):
        async with raw_server() as server:
            pass
        with pytest.raises(Unreachable):
            await reply(LlamaTransport(server.url))


async def test_a_server_that_hangs_up_before_it_answers_broke_off(raw: RawServer) -> None:
    raw.ending = "close"
    async with asyncio.timeout(30):
        with pytest.raises(UpstreamFailed) as failed:
            await reply(LlamaTransport(raw.url))
    assert failed.value.broke_off == 1


@pytest.mark.parametrize("said", [[], [STREAM_HEAD + ONE_TOKEN]], ids=["before the head", "in the middle"])
async def test_silence_times_out(raw: RawServer, said: list[bytes]) -> None:
    raw.answer = said
    async with asyncio.timeout(30):
        with pytest.raises(TimedOut):
            await reply(LlamaTransport(raw.url, idle_s=0.02))
        await raw.peers[0].gone.wait()


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_reply_that_breaks_off_has_failed_after_what_was_heard(raw: RawServer, ending: Any) -> None:
    raw.answer = [STREAM_HEAD + ONE_TOKEN]
    async with asyncio.timeout(30), reading(LlamaTransport(raw.url), chat()) as batches:
        assert await anext(batches) == [Delta("a")]
        raw.peers[0].say([], ending)
        with pytest.raises(UpstreamFailed) as failed:
            await anext(batches)
    assert failed.value.broke_off == 1


async def test_an_error_in_the_stream_is_raised_without_waiting_for_more(raw: RawServer) -> None:
    raw.answer = [STREAM_HEAD + ONE_TOKEN + b'data: {"error":{"message":"out of memory"}}\n\n']
    async with asyncio.timeout(30), reading(LlamaTransport(raw.url), chat()) as batches:
        assert await anext(batches) == [Delta("a")]
        with pytest.raises(UpstreamFailed, match="out of memory"):
            await anext(batches)


async def test_pings_are_no_batches(raw: RawServer) -> None:
    raw.answer = [STREAM_HEAD, b":\n\n", b":\n\n", ONE_TOKEN]
    async with asyncio.timeout(30), reading(LlamaTransport(raw.url), chat()) as batches:
        assert await anext(batches) == [Delta("a")]


async def test_leaving_the_block_hangs_up(raw: RawServer) -> None:
    raw.answer = [STREAM_HEAD + ONE_TOKEN]
    async with asyncio.timeout(30):
        async with reading(LlamaTransport(raw.url), chat()) as batches:
            await anext(batches)
        await raw.peers[0].gone.wait()


async def test_being_cancelled_while_queued_hangs_up(raw: RawServer) -> None:
    async with asyncio.timeout(30):
        waiting = asyncio.ensure_future(reply(LlamaTransport(raw.url)))
        await (await raw.peer()).asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await raw.peers[0].gone.wait()
