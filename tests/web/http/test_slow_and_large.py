"""Clients that send too much, too slowly, or never to the end, on bare sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.process import serve
from gateway.web.http import connection
from gateway.web.http.body_limits import drop_body
from gateway.web.http.head_limit import MAX_HEAD_BYTES
from tests.web.gateway_server import STREAM, served
from transports.scripted import tokens

MEBIBYTE = 1024 * 1024
POST = f"POST {STREAM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()


@dataclass
class Line:
    """A connection on which bytes are sent as they are."""

    incoming: asyncio.StreamReader
    outgoing: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.outgoing.write(data)
        await self.outgoing.drain()

    async def send_for_ever(self, data: bytes) -> int:
        """Until the other side has had enough; how many bytes it took."""
        taken = 0
        try:
            while taken < 64 * MEBIBYTE:
                await self.send(data)
                taken += len(data)
        except ConnectionError:
            pass
        return taken

    async def status(self) -> int:
        """Of the next answer; 0 if the connection was closed without one."""
        try:
            line = await self.incoming.readline()
        except ConnectionError:
            return 0
        return int(line.split()[1]) if line else 0

    async def rest(self) -> str:
        """All that comes until the connection is closed."""
        return (await self.incoming.read()).decode()


@asynccontextmanager
async def lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head_timeout_s: float = 30, **settings: Any
) -> AsyncIterator[Any]:
    """Makes lines to a gateway that gives its clients so much time."""

    monkeypatch.setattr(serve, "KEEP_ALIVE_S", head_timeout_s)
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        opened: list[Line] = []

        async def line() -> Line:
            address = urlsplit(gateway.url)
            opened.append(Line(*await asyncio.open_connection(address.hostname, address.port)))
            return opened[-1]

        try:
            yield line
        finally:
            for line_of in opened:
                line_of.outgoing.transport.abort()


async def test_a_head_that_is_too_large_is_431(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"X-Large: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n"
    many = b"".join(b"X-%d: a\r\n" % number for number in range(10_000)) + b"\r\n"
    async with lines(tmp_path, monkeypatch) as line:
        for head in (large, many):
            one = await line()
            await one.send(POST + head)
            assert await one.status() == 431
            told = await one.rest()
            assert "application/problem+json" in told
            assert '"code":"head_too_large"' in told
        url = await line()
        await url.send(b"GET /" + b"a" * (MAX_HEAD_BYTES + 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await url.status() == 431


async def test_a_head_that_just_fits_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lines(tmp_path, monkeypatch) as line:
        one = await line()
        await one.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (MAX_HEAD_BYTES - 1000))
        await one.send(b"\r\n\r\n")
        assert await one.status() == 200


@pytest.mark.parametrize("piece", [b"a" * 65_536, b"X-More: a\r\n" * 6_000], ids=["one header", "many"])
async def test_a_head_without_an_end_is_cut_off_before_it_takes_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: bytes
) -> None:
    async with lines(tmp_path, monkeypatch) as line:
        one = await line()
        await one.send(POST + b"X-Large: ")
        assert await one.send_for_ever(piece) < 32 * MEBIBYTE


@pytest.mark.parametrize("said", [POST, b"P", POST + b"X-Half: "], ids=["headers", "a letter", "half"])
async def test_a_head_that_never_ends_is_408(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    async with lines(tmp_path, monkeypatch, head_timeout_s=0.05) as line:
        one = await line()
        await one.send(said)
        assert await one.status() == 408
        assert '"code":"too_slow"' in await one.rest()


@pytest.mark.parametrize("said", [b"", b"\r\n"], ids=["nothing", "an empty line"])
async def test_a_connection_that_asks_nothing_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    async with lines(tmp_path, monkeypatch, head_timeout_s=0.05) as line:
        one = await line()
        await one.send(said)
        assert await one.rest() == ""


@pytest.mark.parametrize(
    "head", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"]
)
async def test_a_body_that_stays_away_is_408_and_the_connection_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    async with lines(tmp_path, monkeypatch, body_timeout_s=0.05) as line:
        for path in (STREAM, "/api/chatbot/sessions", "/v1/chat/completions", "/api/chat/stream"):
            one = await line()
            await one.send(POST.replace(STREAM.encode(), path.encode()) + head)
            assert await one.status() == 408, path
            assert "too_slow" in await one.rest()


async def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lines(tmp_path, monkeypatch, head_timeout_s=1) as line:
        one = await line()
        await one.send(POST.replace(b"application/json", b"text/plain") + b"Content-Length: 100\r\n\r\n")
        assert await one.status() == 415
        await one.send(b"{")
        assert "unsupported_media_type" in await one.rest()


async def test_a_body_over_the_limit_is_413(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lines(tmp_path, monkeypatch, max_body_bytes=1024 * 1024) as line:
        one = await line()
        await one.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"a" * 65_536 + b"\r\n")
        for _ in range(20):
            await one.send(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
        assert await one.status() == 413


@pytest.mark.parametrize("how", [b"", b"Connection: close\r\n"], ids=["kept alive", "closing"])
async def test_a_client_that_reads_only_when_it_has_sent_everything_gets_its_413(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: bytes
) -> None:
    body = b"a" * (16 * MEBIBYTE)
    async with lines(tmp_path, monkeypatch, max_body_bytes=MEBIBYTE) as line:
        one = await line()
        await one.send(POST + how + b"Content-Length: %d\r\n\r\n" % len(body))
        await one.send(body)
        assert await one.status() == 413
        assert '"code":"too_large"' in await one.rest()


async def test_a_client_that_sends_a_head_over_the_limit_before_it_reads_gets_its_431(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lines(tmp_path, monkeypatch) as line:
        one = await line()
        await one.send(POST + b"X-Large: " + b"a" * (MEBIBYTE - 1000))
        assert await one.status() == 431
        assert '"code":"head_too_large"' in await one.rest()


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lines(tmp_path, monkeypatch, max_body_bytes=MEBIBYTE) as line:
        large = await line()
        head = POST + b"Expect: 100-continue\r\n"
        await large.send(head + b"Content-Length: %d\r\n\r\n" % (MEBIBYTE + 1))
        said = await large.rest()
        assert said.startswith("HTTP/1.1 413 ")
        assert "\r\nconnection: close\r\n" in said
        fits = await line()
        await fits.send(head + b"Content-Length: 16\r\n\r\n")
        assert await fits.status() == 100


async def test_a_client_that_sends_for_ever_behind_its_413_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_DROPPED_BYTES", MEBIBYTE)
    async with lines(tmp_path, monkeypatch, max_body_bytes=MEBIBYTE) as line:
        one = await line()
        await one.send(POST + b"Content-Length: %d\r\n\r\n" % 10**9)
        assert await one.send_for_ever(b"a" * 65_536) < 32 * MEBIBYTE


@pytest.mark.parametrize(
    ("headers", "unread"),
    [([], 0), ([(b"expect", b"100-continue")], 3), ([(b"content-length", b"%d" % 2**40)], 3)],
    ids=["sending", "waiting for 100 Continue", "endless"],
)
async def test_the_rest_of_a_body_that_is_too_large_is_read_before_the_refusal(
    headers: list[tuple[bytes, bytes]], unread: int
) -> None:
    """A proxy in Go that is still sending loses the response."""
    parts = [{"type": "http.request", "body": b"a", "more_body": more} for more in (False, True, True)]

    async def receive() -> dict[str, Any]:
        return parts.pop()

    await drop_body({"type": "http", "headers": headers}, receive)
    assert len(parts) == unread


async def test_a_client_that_stops_in_a_body_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.http.body_limits.DROP_PAUSE_S", 0.01)
    async with lines(tmp_path, monkeypatch, max_body_bytes=MEBIBYTE) as line:
        one = await line()
        await one.send(POST + b"Content-Length: %d\r\n\r\n" % (2 * MEBIBYTE) + b"a")
        assert await one.status() == 413
