"""HTTP/1.0 clients: no chunks, and what has no length ends with the connection."""

from pathlib import Path

import pytest

from tests.web.bare_client import Answer, ask, connect
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens

STREAMS = {
    STREAM: '{"content": "Hi"}',
    "/api/chat/stream": '{"message": "Hi"}',
    "/api/v1/chat/unified/stream": '{"message": "Hi"}',
    "/v1/chat/completions": '{"messages": [{"role": "user", "content": "Hi"}], "stream": true}',
}

keep_alive = pytest.mark.parametrize("more", ["", "\nConnection: keep-alive"], ids=["plain", "keep-alive"])


async def post(gateway: Served, path: str, body: str, more: str = "", version: str = "1.0") -> Answer:
    head = f"POST {path} HTTP/{version}\nHost: localhost\nContent-Type: application/json"
    return await ask(gateway.url, f"{head}\nContent-Length: {len(body)}{more}", body.encode())


@keep_alive
@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_is_its_frames_and_nothing_else(tmp_path: Path, path: str, more: str) -> None:
    async with served(tmp_path, lambda _: [*tokens(*"Hello")]) as gateway:
        answer = await post(gateway, path, STREAMS[path], more)
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"
    lines = answer.body.decode().split("\n")
    assert all(line.startswith(("data: ", "event: ", "id: ", ": ")) or not line for line in lines)
    assert answer.body.endswith(b"\n\n")


async def test_heartbeats_are_not_chunks_either(tmp_path: Path) -> None:
    body = STREAMS[STREAM]
    head = f"POST {STREAM} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with served(tmp_path, lambda _: [], sse_ping_s=0.05) as gateway:
        incoming, outgoing = await connect(gateway.url)
        outgoing.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        received = b""
        while received.count(b": ping\n") < 2:
            received += await incoming.read(4096)
        outgoing.close()
        await outgoing.wait_closed()
    assert b"\n\n: ping\n: ping\n" in received


@keep_alive
async def test_a_resume_and_a_download_end_with_the_connection(tmp_path: Path, more: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        events = await gateway.events({"content": "Hi", "resumable": True})
        for path in (
            f"{STREAM}/{events[0]['stream_id']}",
            "/api/chatbot/sessions/1/export",
            "/api/chatbot/sessions/1/export?format=md",
        ):
            answer = await ask(gateway.url, f"GET {path} HTTP/1.0\nHost: localhost{more}")
            assert "transfer-encoding" not in answer.headers, path
            assert answer.body.startswith((b"data: ", b'{"session":', b"# ")), path
            assert not answer.body.endswith(b"0\r\n\r\n"), path


async def test_what_has_a_length_keeps_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        for path in ("/health", "/v1/models", "/nothing"):
            answer = await ask(gateway.url, f"GET {path} HTTP/1.0\nHost: localhost")
            assert len(answer.body) == int(answer.headers["content-length"]), path


async def test_later_versions_have_their_chunks(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        answer = await post(gateway, STREAM, STREAMS[STREAM], "\nConnection: close", "1.1")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body.endswith(b"0\r\n\r\n")


async def test_a_bug_in_an_endpoint_is_a_500_there_too(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        gateway.assembled.gateway.runs.find = None  # type: ignore[assignment,method-assign]
        answer = await ask(gateway.url, f"GET {STREAM}/{'0' * 32} HTTP/1.0\nHost: localhost")
    assert answer.status == 500
    assert answer.body == b"Internal Server Error"
