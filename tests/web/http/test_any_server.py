"""Streams under our own server and under others: one behaviour, as far as ASGI allows it."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from gateway.assembly import Assembled
from gateway.contract.events import Delta, Done
from gateway.core.run import ABANDONED, Run
from gateway.process.serve import server_of
from gateway.web.http.any_server import AnyServer
from gateway.web.http.asgi import Message, Scope
from gateway.web.http.slow_readers import SlowReaders
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Step


class StockUvicorn(uvicorn.Server):
    """uvicorn as anybody would start it."""

    def __init__(self, assembled: Assembled, when_listening: Callable[[Assembled], Any]) -> None:
        config = uvicorn.Config(assembled.app, log_config=None, lifespan="on")
        super().__init__(config)
        self._assembled = assembled
        self._when_listening = when_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._when_listening(self._assembled)


SERVERS: dict[str, Callable[..., uvicorn.Server]] = {"ours": server_of, "stock uvicorn": StockUvicorn}


@pytest.fixture(params=list(SERVERS))
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def serve(script: Callable[[Any], list[Step]], **settings: Any) -> AsyncIterator[Served]:
        async with served(tmp_path, script, server=SERVERS[request.param], **settings) as gateway:
            yield gateway

    return serve


class Gate:
    """A reply of two tokens; the second comes when the test opens the gate."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    def __call__(self, _: object) -> list[Step]:
        return [[Delta("Hel")], self.open.wait, [Delta("lo")], [Done("stop")]]


def ends(_: object) -> list[Step]:
    return [[Delta("Hel")], [Delta("lo")], [Done("stop")]]


async def lines_of(response: httpx.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line:
            yield line


async def test_a_stream_is_told_to_its_end(serving: Callable[..., Any]) -> None:
    async with serving(ends) as gateway:
        events = await gateway.events({"content": "Hi"})
    assert kinds(events) == ["metadata", "chunk", "done"]
    assert events[-1]["full_content"] == "Hello"


async def test_tokens_arrive_when_they_are_made(serving: Callable[..., Any]) -> None:
    gate = Gate()
    async with serving(gate) as gateway, gateway.http.stream("POST", STREAM, json={"content": "x"}) as answer:
        lines = lines_of(answer)
        seen = [await anext(lines), await anext(lines)]
        assert json.loads(seen[1].removeprefix("data: "))["content"] == "Hel"
        gate.open.set()
        assert kinds([json.loads(line[6:]) async for line in lines]) == ["chunk", "done"]


async def test_silence_is_filled_with_heartbeats(serving: Callable[..., Any]) -> None:
    gate = Gate()
    async with (
        serving(gate, sse_ping_s=0.02) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "x"}) as answer,
    ):
        async for line in lines_of(answer):
            if line == ": ping":
                break
        gate.open.set()


async def test_a_reader_that_drops_comes_back_and_misses_nothing(serving: Callable[..., Any]) -> None:
    gate = Gate()
    async with serving(gate) as gateway:
        body = {"content": "x", "resumable": True}
        async with gateway.http.stream("POST", STREAM, json=body) as answer:
            stream_id = answer.headers["sluice-stream-id"]
            seen = [line async for line in first(4, lines_of(answer))]
        last_id = seen[-1].removeprefix("id: ")
        headers = {"last-event-id": last_id}
        async with gateway.http.stream("GET", f"{STREAM}/{stream_id}", headers=headers) as answer:
            gate.open.set()
            told = [json.loads(line[6:]) async for line in lines_of(answer) if line.startswith("data: ")]
        assert kinds(told) == ["chunk", "done"]
        headers = {"last-event-id": last_id}
        after_the_end = await gateway.http.get(f"{STREAM}/{stream_id}", headers=headers)
        assert after_the_end.text.count("data: ") == 2


async def first(count: int, lines: AsyncIterator[str]) -> AsyncIterator[str]:
    for _ in range(count):
        yield await anext(lines)


async def test_a_stop_ends_the_stream_at_once(serving: Callable[..., Any]) -> None:
    async with (
        serving(Gate()) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "x"}) as answer,
    ):
        lines = lines_of(answer)
        await anext(lines)
        stream_id = answer.headers["sluice-stream-id"]
        assert (await gateway.http.post(f"{STREAM}/{stream_id}/stop")).json()["reason"] == "user_stop"
        *_, last = [line async for line in lines]
        assert json.loads(last[6:])["reason"] == "user_stop"


def the_run(gateway: Served) -> Run:
    (run,) = gateway.assembled.gateway.runs.of_session(1)
    return run


async def test_leaving_ends_a_reply_that_cannot_be_resumed(serving: Callable[..., Any]) -> None:
    async with serving(Gate()) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "x"}) as answer:
            await anext(lines_of(answer))
            run = the_run(gateway)
        await run.ended.wait()
    assert run.outcome == ABANDONED


async def test_a_client_that_takes_nothing_is_cut_off(serving: Callable[..., Any]) -> None:
    asked = asyncio.Event()

    def much(_: object) -> list[Step]:
        asked.set()
        return [*([Delta("x" * 1_000_000)] for _ in range(8)), asyncio.Event().wait]

    # uvicorn's `send` blocks when the write before was not taken: the heartbeat meets that at the latest
    async with serving(much, send_timeout_s=0.05, sse_ping_s=0.05) as gateway:
        address = urlsplit(gateway.url)
        loop = asyncio.get_running_loop()
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await loop.sock_connect(raw, (address.hostname, address.port))
            body = b'{"content":"x"}'
            head = f"POST {STREAM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            await loop.sock_sendall(raw, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await asked.wait()
            run = the_run(gateway)
            await run.ended.wait()
    assert run.outcome == ABANDONED


async def test_a_tab_hears_of_its_session(serving: Callable[..., Any]) -> None:
    async with serving(ends, sse_ping_s=0.05) as gateway:
        await gateway.http.post("/api/chatbot/sessions")
        async with gateway.http.stream("GET", "/api/chatbot/sessions/1/events") as tab:
            lines = lines_of(tab)
            assert await anext(lines) == ": ping"
            await gateway.events({"content": "Hi", "session_id": 1})
            told = [json.loads(line[6:])["type"] async for line in until_ended(lines)]
        assert told == ["message", "reply_started", "reply_ended"]
        while len(gateway.assembled.gateway.news):  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)


async def until_ended(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        if line.startswith("data: "):
            yield line
            if "reply_ended" in line:
                return


async def test_a_whole_answer_is_the_same(serving: Callable[..., Any]) -> None:
    async with serving(ends) as gateway:
        answer = await gateway.http.post("/api/chatbot/messages", json={"content": "Hi"})
    assert answer.json()["assistant_message"]["content"] == "Hello"


async def test_an_application_in_the_same_process_is_answered_too(tmp_path: Path) -> None:
    """httpx.ASGITransport calls the application without a server."""
    async with served(tmp_path, ends) as gateway:
        transport = httpx.ASGITransport(gateway.assembled.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            answer = await client.post(STREAM, json={"content": "Hi"})
    assert answer.text.count("data: ") == 4


async def test_an_error_of_the_application_comes_out_as_it_is() -> None:
    async def broken(scope: Scope, receive: Any, send: Any) -> None:
        raise LookupError("ours")

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        logging.debug("%s", message)

    with pytest.raises(LookupError, match="ours"):
        await AnyServer(broken, SlowReaders(1))({"type": "http"}, receive, send)
