"""Connections and replies that have ended are freed at once: cycles are collected seldom."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.contract.events import Delta
from gateway.core.reply_accumulator import ReplyAccumulator
from gateway.core.reply_task import ReplyTask
from gateway.core.run import Run
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.http.connection import ClientConnection
from gateway.web.http.connection_limits import MAX_PIPELINED
from gateway.web.http.head_limit import MAX_HEAD_BYTES
from gateway.web.http.socket_connection import MAX_FRAGMENTS, MAX_PINGS, SocketConnection
from tests.live.looking import look_again
from tests.web.gateway_server import Served, served
from tests.web.sockets.test_hostile_sockets import frame, handshake, raw_connection, raw_socket
from transports.scripted import tokens

FREED = (
    ClientConnection,
    SocketConnection,
    RequestResponseCycle,
    ReplyStream,
    ReplyTask,
    ReplyAccumulator,
    Run,
)
OPENAI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in FREED)


@asynccontextmanager
async def all_freed(gateway: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client; when it has left, wait until all that it caused is freed without a collection."""
    gc.collect()
    gc.freeze()  # nothing that exists now has to be looked at
    gc.disable()
    try:
        before = alive()
        async with asyncio.timeout(30):
            async with httpx.AsyncClient(base_url=gateway.url) as client:
                yield client
            while alive() - before:
                await look_again()
    except TimeoutError:
        pytest.fail(f"still there: {alive() - before}")
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages/stream", {"content": "hi"}),
        ("/messages/stream", {"content": "hi", "stream": False}),
        ("/v1/chat/completions", OPENAI | {"stream": True}),
        ("/v1/chat/completions", OPENAI),
        ("/v1/messages", OPENAI | {"stream": True, "max_tokens": 9}),
        ("/api/chat", OPENAI),
    ],
)
@pytest.mark.parametrize("closing", [False, True])
async def test_a_connection_and_its_reply(
    tmp_path: Path, path: str, body: dict[str, Any], closing: bool
) -> None:
    headers = {"Connection": "close"} if closing else {}
    async with served(tmp_path, lambda _: tokens("Hello", " there")) as gateway, all_freed(gateway) as client:
        for _ in range(3):
            response = await client.post(path, json=body, headers=headers)
            assert response.status_code == 200


async def test_a_client_that_leaves_in_the_middle(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("Hello")]]) as gateway, all_freed(gateway) as client:
        for _ in range(3):
            async with client.stream("POST", "/messages/stream", json={"content": "hi"}) as response:
                await anext(response.aiter_raw())


@pytest.mark.parametrize("path", ["/health", "/api/chatbot/sessions", "/nowhere"])
async def test_a_connection_without_a_reply(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway, all_freed(gateway) as client:
        await client.get(path)


CHUNKED = b"POST /messages/stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = [
    pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES, id="too many headers"),
    pytest.param(b"GET /" + b"a" * 2 * MAX_HEAD_BYTES, id="a long line"),
    pytest.param(b"rubbish\r\n\r\n", id="rubbish"),
    pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", id="CONNECT"),
    pytest.param(b"GET a:b HTTP/1.1\r\nHost: a\r\n\r\n", id="another target"),
    pytest.param(GET * (MAX_PIPELINED + 3), id="too many requests"),
    pytest.param(CHUNKED + b"rubbish\r\n", id="a body that is none"),
    pytest.param(handshake().replace(b"13", b"12"), id="a handshake of another version"),
    pytest.param(handshake().replace(b"/ws", b"/health"), id="a handshake elsewhere"),
]


@pytest.mark.parametrize("sent", REFUSED)
async def test_a_connection_that_is_refused(tmp_path: Path, sent: bytes) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway, all_freed(gateway):
        reader, writer = await raw_connection(gateway)
        writer.write(sent)
        assert await reader.read()
        writer.transport.abort()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(frame(9, b"") * (MAX_PINGS + 1), id="a flood of pings"),
        pytest.param(b"\xff" * 100, id="a wrong frame"),
        pytest.param(frame(1, b"[]") + frame(8, b""), id="a frame of nothing"),
        pytest.param(frame(1, b"", fin=False) + frame(0, b"", fin=False) * MAX_FRAGMENTS, id="fragments"),
        pytest.param(frame(8, b""), id="a close"),
    ],
)
async def test_a_socket_that_is_refused(tmp_path: Path, sent: bytes) -> None:
    async with (
        served(tmp_path, lambda _: tokens("Hello")) as gateway,
        all_freed(gateway),
        raw_socket(gateway) as (reader, writer),
    ):
        writer.write(sent)
        with suppress(ConnectionError):
            await reader.read()
