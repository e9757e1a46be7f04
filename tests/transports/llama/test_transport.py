"""The transport over HTTP: what it asks for, what it makes of the answer, and that leaving is stopping."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.contract.content import Audio, File, Image, Text
from gateway.contract.errors import (
    ModelRefused,
    ProtocolViolation,
    TimedOut,
    Unreachable,
    UnsupportedContent,
    UpstreamFailed,
)
from gateway.contract.events import Delta, Done, TransportEvent, Usage
from gateway.contract.requests import ChatRequest, Sampling, Turn
from gateway.contract.transport import Health
from tests.reading import events_of, reading
from tests.transports.llama import captures
from tests.transports.llama.raw_server import RawServer, raw_server
from transports.llama import replies
from transports.llama import transport as transport_module
from transports.llama.http_exchange import HttpExchange
from transports.llama.transport import LlamaTransport

SSE = {"content-type": "text/event-stream"}
REPLY = httpx.Response(200, headers=SSE, content=captures.body("chat_stream_usage"))
MODELS = {"data": [{"id": "big", "owned_by": "llamacpp"}, {"id": "small", "owned_by": "llamacpp"}]}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
ONE_TOKEN = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'

Answers = dict[str, httpx.Response | Exception]


class Server:
    """A model server in memory. answers: by path; asked: the requests, as they came."""

    def __init__(self, **answers: Any) -> None:
        self.answers: Answers = {"/v1/chat/completions": REPLY, "/v1/models": httpx.Response(404)}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get(request.url.path, httpx.Response(404))
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def body(self) -> dict[str, Any]:
        body = json.loads(self.asked[-1].content)
        assert isinstance(body, dict)
        return body


class Socket(asyncio.Transport):
    """A connection to a Server."""

    def __init__(self, url: httpx.URL, server: Server, exchange: HttpExchange) -> None:
        super().__init__()
        self._url = url
        self._server = server
        self._exchange = exchange

    def write(self, data: bytes | bytearray | memoryview) -> None:
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, path, _ = first.decode().split()
        headers = dict(line.split(b": ", 1) for line in lines)
        answer = self._server(httpx.Request(method, self._url.join(path), headers=headers, content=body))
        content_type = answer.headers.get("content-type", "").encode()
        said = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n" % (answer.status_code, len(answer.content))
        said += b"Content-Type: %b\r\n" % content_type if content_type else b""
        self._exchange.data_received(said + b"\r\n" + answer.content)

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        pass


@pytest.fixture
def server() -> Server:
    return Server()


def transport_to(server: Server, url: str = "http://llama:8080", **options: Any) -> LlamaTransport:
    async def connect(url: httpx.URL, connect_s: float | None, read_s: float | None) -> HttpExchange:
        exchange = HttpExchange(asyncio.get_running_loop(), read_s)
        exchange.connection_made(Socket(url, server, exchange))
        return exchange

    return LlamaTransport(url, connect=connect, **options)


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
        "connection": "close",
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


@pytest.mark.parametrize(
    ("answers", "ok", "detail"),
    [
        ({"/health": httpx.Response(200)}, True, "ready"),
        ({"/health": httpx.Response(503)}, False, "loading"),
        ({"/health": httpx.Response(200), "/v1/models": httpx.Response(200, json=[])}, True, "ready"),
        ({"/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/v1/models": httpx.Response(404)}, False, "404"),
        ({"/health": httpx.Response(401), "/v1/models": httpx.Response(401)}, False, "LLM_API_KEY"),
        ({"/health": httpx.Response(401), "/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/health": httpx.Response(405), "/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/health": httpx.Response(307), "/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/health": httpx.Response(500), "/v1/models": httpx.Response(200, json=MODELS)}, False, "500"),
        ({"/v1/models": httpx.Response(200, json={"object": "list", "data": None})}, True, "ready"),
        ({"/health": httpx.Response(200), "/v1/models": httpx.Response(403)}, False, "LLM_API_KEY"),
        (
            {"/health": httpx.ConnectError("no connection to a:1: refused")},
            False,
            "no connection to a:1: refused",
        ),
        ({"/v1/models": httpx.Response(200, content=b"<html>")}, False, "list of models"),
    ],
)
async def test_health_is_told_and_never_raised(
    server: Server, answers: Answers, ok: bool, detail: str
) -> None:
    server.answers |= answers
    health = await transport_to(server).health()
    assert health.ok is ok
    assert detail in health.detail


async def test_a_health_check_that_hangs_is_given_up(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "PROBE_S", 0.02)
    async with asyncio.timeout(30):
        health = await LlamaTransport(raw.url).health()
        assert not health.ok
        assert await LlamaTransport(raw.url).total_slots() is None


@pytest.mark.parametrize(
    ("answer", "slots"),
    [
        (httpx.Response(200, json={"total_slots": 4, "model_path": "x"}), 4),
        (httpx.Response(200, json={}), None),
        (httpx.Response(200, content=b"<html>"), None),
        (httpx.Response(401), None),
        (httpx.ReadError("gone"), None),
    ],
)
async def test_slots_are_counted_where_the_server_tells(
    server: Server, answer: httpx.Response | Exception, slots: int | None
) -> None:
    server.answers["/props"] = answer
    assert await transport_to(server).total_slots() == slots


async def test_models_are_learned_in_the_background_as_soon_as_the_server_is_there(server: Server) -> None:
    server.answers["/v1/models"] = httpx.ConnectError("not yet")
    pauses_s: list[float] = []
    known = asyncio.Event()

    async def sleep(pause_s: float) -> None:
        pauses_s.append(pause_s)
        if len(pauses_s) == 3:
            server.answers["/v1/models"] = httpx.Response(200, json=MODELS)
        if len(pauses_s) == 4:
            known.set()
            await asyncio.Event().wait()

    transport = transport_to(server, sleep=sleep)
    async with asyncio.timeout(30), transport.running():
        await known.wait()
        assert list(transport.models()) == ["big", "small"]
    assert pauses_s[0] < pauses_s[1] < pauses_s[2] < pauses_s[3]


async def test_a_server_that_is_away_is_named_with_its_setting(server: Server) -> None:
    server.answers = {"/health": httpx.ConnectError("no connection to llama:8080: Connection refused")}
    health = await transport_to(server, setting="LLM_SERVER_URL").health()
    said = "LLM_SERVER_URL=http://llama:8080: no connection to llama:8080: Connection refused"
    assert health == Health(False, said)


async def test_its_going_and_coming_is_one_line_each(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    away: dict[str, httpx.Response | Exception] = {
        "/health": httpx.ConnectError("no connection to llama:8080: Connection refused")
    }
    there: dict[str, httpx.Response | Exception] = {
        "/health": httpx.Response(200),
        "/v1/models": httpx.Response(200, json=MODELS),
    }
    states = iter([away, away, there, there, away])
    seen_all = asyncio.Event()

    async def next_state(_: float) -> None:
        state = next(states, None)
        if state is None:
            seen_all.set()
            await asyncio.Event().wait()
        else:
            server.answers = state

    caplog.set_level("INFO", "sluice")
    server.answers = away
    transport = transport_to(server, setting="LLM_SERVER_URL", sleep=next_state)
    async with asyncio.timeout(30), transport.running():
        await seen_all.wait()
    lines = [record.getMessage() for record in caplog.records if record.name == "sluice.servers"]
    lost = (
        "LLM_SERVER_URL=http://llama:8080: no connection to llama:8080: Connection refused. Replies fail "
        "until a model server is there: start it, or correct LLM_SERVER_URL"
    )
    assert lines == [lost, "LLM_SERVER_URL=http://llama:8080: the model server is ready", lost]


IMAGE = Image("image/png", b64encode(bytes(range(256))).decode())
AUDIO = Audio("wav", b64encode(b"RIFF" + bytes(range(256))).decode())


async def test_images_and_sound_arrive_intact_in_openais_form(server: Server) -> None:
    said = (Text("This?"), IMAGE, AUDIO, File("a.txt", "text/plain", "SGkK"))
    await events_of(transport_to(server), ChatRequest("0" * 32, [Turn("user", said)]))

    text, image, audio, file = server.body()["messages"][0]["content"]
    assert text == {"type": "text", "text": "This?"}
    assert image["type"] == "image_url"
    head, _, encoded = image["image_url"]["url"].partition(",")
    assert (head, b64decode(encoded)) == ("data:image/png;base64", bytes(range(256)))
    assert (audio["type"], audio["input_audio"]["format"]) == ("input_audio", "wav")
    assert b64decode(audio["input_audio"]["data"]) == b"RIFF" + bytes(range(256))
    assert file == {"type": "text", "text": "--- File: a.txt ---\nHi\n"}


@pytest.mark.parametrize(
    ("modalities", "refused"),
    [
        ({"vision": False, "audio": False}, "images or sound"),
        ({"vision": True, "audio": False}, "sound"),
        ({"vision": False}, "images"),
        ({"vision": True, "audio": True}, None),
        ("rubbish", None),
        (None, None),
    ],
)
async def test_content_is_refused_by_name_where_props_say_so(
    server: Server, modalities: object, refused: str | None
) -> None:
    server.answers["/props"] = httpx.Response(200, json={"modalities": modalities, "total_slots": 1})
    transport = transport_to(server)
    request = ChatRequest("0" * 32, [Turn("user", (IMAGE, AUDIO))])
    transport.abilities.check(request)  # nothing is known yet

    assert await transport.total_slots() == 1

    if refused is None:
        transport.abilities.check(request)
    else:
        with pytest.raises(UnsupportedContent, match=f"takes no {refused}:"):
            transport.abilities.check(request)
    transport.abilities.check(ChatRequest("0" * 32, [Turn("user", "Hi")]))


async def test_a_server_without_props_gets_everything(server: Server) -> None:
    transport = transport_to(server)
    await transport.total_slots()
    transport.abilities.check(ChatRequest("0" * 32, [Turn("user", (IMAGE, AUDIO))]))


async def test_modalities_are_learned_in_the_background(server: Server) -> None:
    props = {"modalities": {"vision": False, "audio": False}}
    server.answers |= {"/health": httpx.Response(200), "/props": httpx.Response(200, json=props)}
    known = asyncio.Event()

    async def pause(_: float) -> None:
        known.set()
        await asyncio.Event().wait()

    transport = transport_to(server, sleep=pause)
    async with asyncio.timeout(5), transport.running():
        await known.wait()
    assert transport.abilities.accepts() == frozenset()
