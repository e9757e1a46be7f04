"""Streams of many model servers are parsed correctly over a real socket, in pieces of any size."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, Done, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.requests import ChatRequest, Turn
from tests.reading import reading
from tests.transports.llama.foreign_calls import HALVES, TOOLS
from tests.transports.llama.foreign_streams import (
    DONE,
    END,
    FOREIGN,
    FULL,
    STOP,
    A,
    B,
    Case,
    frame,
    given_cases,
)
from tests.transports.llama.foreign_words import WORDS
from tests.transports.llama.raw_server import RawServer, raw_server
from transports.llama.transport import LlamaTransport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
ALL = [*given_cases(), *FOREIGN, *HALVES, *TOOLS, *WORDS]
CUTS = [0, 1, 7, 64]
"""Bytes in each piece that the server sends. 0: one piece."""

CHAT = ChatRequest("0" * 32, [Turn("user", "Hi")])


class Heard:
    def __init__(self) -> None:
        self.events: list[TransportEvent | Done] = []
        self.error: GatewayError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Reasoning))

    @property
    def tool_calls(self) -> list[tuple[str, Any]]:
        return [(call.name, _parsed(call.arguments)) for call in self.events if isinstance(call, ToolCall)]

    @property
    def usage(self) -> list[int] | None:
        told = [event for event in self.events if isinstance(event, Usage)]
        return [told[-1].prompt_tokens, told[-1].completion_tokens] if told else None

    @property
    def ends(self) -> str:
        if self.error is not None:
            return "error"
        last = self.events[-1]
        assert isinstance(last, Done)
        return last.reason


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def lingers_s(case: Case) -> float:
    """Long where [DONE] or the end of the stream ends the reply: nothing behind the finish comes too late."""
    has_end = b"[DONE]" in case.stream and not case.name.endswith("left open")
    if not case.held or case.message == "broke off" or has_end:
        return 30
    return 0.05 if case.usage is False else 2


async def heard(server: RawServer, *, linger_s: float = 30) -> Heard:
    heard = Heard()
    transport = LlamaTransport(server.url, linger_s=linger_s)
    try:
        async with reading(transport, CHAT) as batches:
            async for batch in batches:
                assert batch
                heard.events += batch
    except GatewayError as error:
        heard.error = error
    return heard


def pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)] if size else [stream]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
async def test_a_stream_says_what_its_server_meant(case: Case, cut: int) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer = [HEAD, *pieces(case.stream, cut)]
        if not case.held or case.message == "broke off":
            server.ending = "close"
        said = await heard(server, linger_s=lingers_s(case))
    assert (said.text, said.reasoning, said.ends) == (case.text, case.reasoning, case.ends)
    if case.ends == "error":
        assert case.message in str(said.error)
        assert said.error is not None
        assert case.code in (None, said.error.code)
        assert said.error.reason == "upstream_error"
    else:
        assert said.tool_calls == case.tool_calls
    if case.usage is not False:
        assert said.usage == case.usage
    json.dumps([repr(event) for event in said.events], ensure_ascii=False).encode()


async def test_a_finished_reply_waits_for_its_usage() -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer = [HEAD + A + STOP]
        transport = LlamaTransport(server.url, linger_s=60)
        async with reading(transport, CHAT) as batches:
            assert await anext(batches) == [Delta("A")]
            ending = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0)
            server.peers[0].say([frame({"choices": [], "usage": FULL}), DONE])
            assert await ending == [Usage(3, 1, 4)]
            assert await anext(batches) == [Done("stop")]


async def test_pings_do_not_keep_a_finished_reply_open() -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer = [HEAD + A + STOP]
        async with reading(LlamaTransport(server.url, linger_s=0.05), CHAT) as batches:
            await anext(batches)
            ending = asyncio.ensure_future(anext(batches))
            while not ending.done():
                server.peers[0].say([b": ping\n\n"])
                await asyncio.sleep(0)
            assert await ending == [Done("stop")]


async def test_an_unfinished_reply_is_not_cut_short_by_silence() -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer = [HEAD + A]
        async with reading(LlamaTransport(server.url, linger_s=0), CHAT) as batches:
            await anext(batches)
            server.peers[0].say([B + END])
            assert await anext(batches) == [Delta("B")]
            assert await anext(batches) == [Done("stop")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "boom"}}, "boom"),
        ({"object": "error", "message": "boom"}, "boom"),
        ({"detail": "boom"}, "boom"),
        ([{"error": {"message": "boom"}}], "boom"),
        ({"message": "boom", "choices": None}, "boom"),
        ({"error": {"code": 7}}, "code 7"),
        ({"choices": [{"message": {"content": "A"}, "finish_reason": "abort"}]}, "abort"),
    ],
)
async def test_an_error_in_a_whole_answer_is_an_error(body: Any, message: str) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [JSON_HEAD + json.dumps(body).encode()], "close"
        said = await heard(server)
    assert said.ends == "error"
    assert message in str(said.error)


@pytest.mark.parametrize(
    ("choice", "text", "ends"),
    [
        ({"message": {"content": "A"}, "finish_reason": "stop"}, "A", "stop"),
        ({"message": {"content": [{"type": "text", "text": "A"}, "B"]}, "finish_reason": None}, "AB", "stop"),
        ({"message": {"content": "a\ud83d"}, "finish_reason": "length"}, "a\ufffd", "length"),
        ({"text": "A", "finish_reason": "eos", "logprobs": None}, "A", "stop"),
        (
            {"message": {"content": "A"}, "index": None, "finish_reason": "content_filter"},
            "A",
            "content_filter",
        ),
    ],
)
async def test_a_whole_answer_is_read_as_loosely(choice: Any, text: str, ends: str) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        body = {"choices": [choice], "usage": {"prompt_tokens": None}}
        server.answer, server.ending = [JSON_HEAD + json.dumps(body, indent=1).encode()], "close"
        said = await heard(server)
    assert (said.text, said.ends, said.usage) == (text, ends, None)
    assert sum(isinstance(event, Delta) for event in said.events) == 1


@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=utf-8", "application/x-ndjson", "application/json"]
)
async def test_a_stream_under_another_content_type_is_read(content_type: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n".encode()
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [head + A + B + END], "close"
        said = await heard(server)
    assert (said.text, said.ends) == ("AB", "stop")


@pytest.mark.parametrize("first", [b": ping\n\n", b"id: 1\n", b"retry: 5\n", b"\xef\xbb\xbf"])
async def test_a_stream_as_json_may_begin_with_any_field(first: bytes) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [JSON_HEAD + first + A + B + END], "close"
        said = await heard(server)
    assert (said.text, said.ends) == ("AB", "stop")


async def test_a_stream_without_a_content_type_is_read() -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [b"HTTP/1.1 200 OK\r\n\r\n" + A + B + END], "close"
        said = await heard(server)
    assert (said.text, said.ends) == ("AB", "stop")


@pytest.mark.parametrize("cut", CUTS)
async def test_plain_text_instead_of_a_stream_is_the_servers_word(cut: int) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [HEAD, *pieces(b"Internal Server Error\n", cut)], "close"
        said = await heard(server)
    assert said.error is not None
    assert str(said.error) == "Internal Server Error"


async def test_a_problem_in_json_of_another_name_keeps_its_words() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/problem+json\r\n\r\n"
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [head + b'{"title":"Oops","detail":"boom"}'], "close"
        said = await heard(server)
    assert said.error is not None
    assert str(said.error) == "boom"


@pytest.mark.parametrize("tail", [frame({"error": "boom"}), b""], ids=["error", "broken off"])
async def test_a_failed_stream_under_another_content_type_keeps_its_text(tail: bytes) -> None:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [JSON_HEAD + A + tail], "close"
        said = await heard(server)
    assert (said.text, said.ends) == ("A", "error")


def test_no_case_has_the_name_of_another() -> None:
    names: Sequence[str] = [case.name for case in ALL]
    assert len(set(names)) == len(names)
