"""Clients that send rubbish, floods or half a frame, or read nothing; and the end of the gateway."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from gateway.contract.events import Delta, Done
from gateway.core.run import ABANDONED
from gateway.process import serve
from gateway.process.draining_server import GatewayServer
from gateway.process.serve import server_of
from gateway.web.chat.ai_sdk_socket import MAX_REQUESTS
from gateway.web.http.socket_connection import MAX_FRAGMENTS
from tests.web.gateway_server import Served, served
from tests.web.http.test_any_server import SERVERS
from tests.web.sockets.page_socket import page_socket, user
from transports.scripted import Step

ANSWER: list[Step] = [[Delta("So.")], [Done("stop")]]
ENDLESS: list[Step] = [[Delta("on and on")]]
RESUMABLE = {"Sluice-Resumable": "1"}


@asynccontextmanager
async def raw_socket(gateway: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A WebSocket after its handshake, for frames that no library sends."""
    reader, writer = await raw_connection(gateway)
    writer.write(handshake())
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def raw_connection(gateway: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(gateway.url)
    return await asyncio.open_connection(address.hostname, address.port)


def handshake(
    method: str = "GET", target: str = "/ws", *more: str, key: str = "AAAAAAAAAAAAAAAAAAAAAA=="
) -> bytes:
    upgrade = ["Host: localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    lines = [f"{method} {target} HTTP/1.1", *upgrade, f"Sec-WebSocket-Key: {key}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, body: bytes, *, fin: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode])
    size = bytes([0x80 | len(body)]) if len(body) < 126 else bytes([0xFE]) + struct.pack("!H", len(body))
    return head + size + bytes(4) + body


async def still_answers(gateway: Served) -> bool:
    async with page_socket(gateway.url) as page:
        await page.send("after", chat="after")
        return (await page.heard("after")).ends == ("complete",)


@pytest.mark.parametrize(
    "sent",
    [
        "rubbish",
        "",
        "[1, 2]",
        "7",
        "{}",
        '{"events": "room:join"}',
        '{"type": "ping"}',
        '{"type": "send"}',
        '{"type": "send", "requestId": 7}',
        '{"type": "send", "requestId": ""}',
        '{"type": "abort", "requestId": null}',
        "[" * 100_000,
        b"\x00\xff\xfe",
        b"",
    ],
)
async def test_a_frame_without_a_request_closes_the_socket(tmp_path: Path, sent: str | bytes) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        async with page_socket(gateway.url) as page:
            await page.connection.send(sent)
            code, reason = await page.until_closed()
        assert code == 1008
        assert reason.startswith("A frame ")
        assert await still_answers(gateway)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "ping"},
        {"type": "send", "headers": {"a": 7}},
        {"type": "send", "headers": []},
        {"type": "send", "headers": {"a": "x" * 20_000}},
        {"type": "send", "body": []},
        {"type": "send", "id": 7},
        {"type": "send", "id": None},
        {"type": "resume", "id": "x" * 300},
        {"type": "resume"},
        {"type": "send", "id": "c", "messages": "Hi"},
        {"type": "send", "id": "c", "messages": [[]]},
        {"type": "send", "id": "c", "trigger": 7, "messages": []},
        {"type": "send", "id": "c", "headers": {"Idempotency-Key": ""}, "messages": []},
        {"type": "send", "id": "c", "headers": {"Last-Event-ID": "x"}, "messages": []},
        {"type": "send", "id": "c", "headers": {"Zeile\r\nX": "\u20ac\r\n"}, "messages": []},
    ],
)
async def test_a_wrong_request_gets_an_error_frame_and_the_socket_stays(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, page_socket(gateway.url) as page:
        await page.connection.send(json.dumps({"requestId": "r1", **wrong}))
        refused = await page.until("r1")
        assert refused["type"] == "error"
        assert refused["errorText"]
        await page.send("r1")
        page.frames.clear()
        assert (await page.heard("r1")).text == "So."


async def test_binary_frames_are_read_as_text(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, page_socket(gateway.url) as page:
        sent = {"type": "resume", "requestId": "r1", "id": "c1", "headers": {}, "body": {}}
        await page.connection.send(json.dumps(sent).encode())
        assert (await page.until("r1"))["type"] == "no-active"


async def test_a_request_id_that_is_in_use_is_refused_and_the_first_request_goes_on(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("Hel")], go_on.wait, [Delta("lo")], [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway, page_socket(gateway.url) as page:
        await page.send("r1")
        await page.until("r1", "text-delta")
        await page.send("r1", "Again", chat="c2")
        refused = page.frames["r1"].index(await page.until("r1", "error"))
        assert page.frames["r1"].pop(refused)["errorText"].endswith("requestId: is in use.")
        go_on.set()
        assert (await page.heard("r1")).text == "Hello"
        assert len(await gateway.messages()) == 2


async def test_a_flood_of_resumes_is_bounded_and_nobody_else_waits(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ENDLESS) as gateway, page_socket(gateway.url) as page:
        await page.send("first", headers=RESUMABLE)
        await page.until("first", "text-delta")
        flood = 500
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_resume_often(page, flood))
            async with page_socket(gateway.url) as other:
                await other.resume("r")
                await other.until("r", "text-delta")
            await page.until(f"r{flood - 1}", "error")
            await sending
        refused = [frames[0] for frames in page.frames.values() if frames[0]["type"] == "error"]
        assert len(refused) == flood - (MAX_REQUESTS - 1)
        assert {frame["errorText"] for frame in refused} == {
            f"There are {MAX_REQUESTS} open requests on this socket, the maximum."
        }


async def _resume_often(page: Any, count: int) -> None:
    for number in range(count):
        await page.resume(f"r{number}")


async def test_a_socket_that_breaks_in_the_middle_of_a_frame_stops_its_replies(tmp_path: Path) -> None:
    sent = {"type": "send", "requestId": "r1", "id": "c1", "messages": [user("Hi")]}
    async with served(tmp_path, lambda _: ENDLESS) as gateway:
        async with raw_socket(gateway) as (reader, writer):
            writer.write(frame(1, json.dumps(sent).encode()))
            await reader.readuntil(b"text-delta")
            (run,) = gateway.assembled.gateway.runs.of_session(1)
            writer.write(frame(1, b'{"type":"abort","requestId":"r1"}')[:20])
        await run.ended.wait()
    assert run.outcome == ABANDONED


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(frame(1, b"\xff\xfe"), id="no UTF-8"),
        pytest.param(b"\x81\xff" + struct.pack("!Q", 2**40) + bytes(4), id="a terabyte"),
        pytest.param(b"\x81\x05Hello", id="not masked"),
        pytest.param(b"\xf1\x80" + bytes(4), id="reserved bits"),
        pytest.param(frame(3, b"x"), id="unknown opcode"),
        pytest.param(frame(0, b"x"), id="a fragment of nothing"),
        pytest.param(frame(9, b"x" * 126), id="a large ping"),
        pytest.param(
            frame(1, b"", fin=False) + frame(0, b"", fin=False) * (MAX_FRAGMENTS + 1), id="fragments"
        ),
        pytest.param(frame(8, b"\x00"), id="half a close code"),
        pytest.param(os.urandom(2000), id="noise"),
    ],
)
async def test_frames_that_are_no_websocket_end_the_connection(tmp_path: Path, sent: bytes) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        async with raw_socket(gateway) as (reader, writer):
            writer.write(sent)
            with suppress(ConnectionError):
                await reader.read()
        assert await still_answers(gateway)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (handshake(key="short"), b"400"),
        (handshake("GET", "/ws", "Content-Length: 5") + b"Hello", b"400"),
        (handshake("GET", "/ws", "Content-Length: 0"), b"101"),
        (handshake("GET", "/ws", "X: " + "x" * 9000), b"400"),
        (handshake("GET", "/nowhere"), b"404"),
        (handshake("GET", "http://localhost/ws"), b"101"),
        (handshake("GET", "/ws?ticket="), b"403"),
        (handshake("POST", "/ws", "Content-Length: 0"), b"405"),
        (handshake("GET", "/ws", "Sec-WebSocket-Extensions: permessage-deflate"), b"101"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + handshake(), b"200"),
    ],
)
async def test_each_handshake_is_answered(tmp_path: Path, sent: bytes, status: bytes) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        reader, writer = await raw_connection(gateway)
        writer.write(sent)
        head = await reader.readuntil(b"\r\n")
        writer.transport.abort()
        assert head.split(b" ")[1] == status
        assert await still_answers(gateway)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_reads_nothing_is_disconnected(tmp_path: Path, server: str) -> None:
    begun = asyncio.Event()

    async def begin() -> None:
        begun.set()

    script: list[Step] = [begin, *[[Delta("x" * 100_000)] for _ in range(120)], asyncio.Event().wait]
    async with served(tmp_path, lambda _: script, server=SERVERS[server], send_timeout_s=0.2) as gateway:
        reader, writer = await raw_connection(gateway)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = {"type": "send", "requestId": "r1", "id": "c1", "messages": [user("Hi")]}
        writer.write(frame(1, json.dumps(sent).encode()))
        await begun.wait()
        (run,) = gateway.assembled.gateway.runs.of_session(1)
        await run.ended.wait()
        writer.transport.abort()
    assert run.outcome == ABANDONED


async def test_a_socket_outlives_the_deadline_for_idle_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "KEEP_ALIVE_S", 0.5)
    async with served(tmp_path, lambda _: ANSWER) as gateway, page_socket(gateway.url) as page:
        await page.resume("r1")
        await page.until("r1")
        for _ in range(2):
            reader, writer = await raw_connection(gateway)
            assert await reader.read() == b""  # its deadline began after that of the socket
            writer.close()
        await page.send("r2")
        assert (await page.heard("r2")).text == "So."


async def test_at_the_end_resumable_replies_have_no_end_and_others_an_error(tmp_path: Path) -> None:
    servers: list[uvicorn.Server] = []

    def server(*given: Any) -> uvicorn.Server:
        servers.append(server_of(*given))
        return servers[0]

    async with (
        served(tmp_path, lambda _: ENDLESS, server=server) as gateway,
        page_socket(gateway.url) as page,
    ):
        await page.send("kept", headers=RESUMABLE)
        await page.until("kept", "text-delta")
        await page.send("lost", chat="c2")
        await page.until("lost", "text-delta")
        hurry = asyncio.Event()
        hurry.set()
        await gateway.assembled.drain(hurry)
        assert (await page.heard("lost")).error == "The gateway was stopped before the reply ended."
        await page.send("late", chat="c3")
        assert (await page.until("late"))["errorText"].startswith("The gateway is stopping")
        assert isinstance(servers[0], GatewayServer)
        servers[0].stop()
        code, _ = await page.until_closed()
    assert code == 1012
    assert page.frames["kept"][-1]["chunk"]["type"] == "text-delta"
