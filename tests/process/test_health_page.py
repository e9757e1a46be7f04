"""The worker's health page, asked by probes and by others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from gateway.process import health_page as pages
from gateway.process.health_page import MAX_CONNECTIONS, MAX_REQUEST_BYTES, Report, health_page

READY: Report = lambda: (True, {"state": "ready"})  # noqa: E731 - a report is a function


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Page:
    def __init__(self, url: str) -> None:
        self.port = urlsplit(url).port or 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, *parts: bytes) -> bytes:
        """All that comes until the page hangs up; empty also where it did so without a word."""
        reader, writer = await self.connect()
        try:
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0)
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            await close(writer)

    async def status(self, *parts: bytes) -> int:
        answer = await self.ask(*parts)
        return int(answer.split(b" ")[1]) if answer else 0


@asynccontextmanager
async def page(report: Report = READY) -> AsyncIterator[Page]:
    async with asyncio.timeout(30), health_page(0, report) as url:
        yield Page(url)


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_a_status_and_a_report(ready: bool, status: int) -> None:
    async with page(lambda: (ready, {"state": "as told", "busy": 1})) as asked:
        head, _, body = (await asked.ask(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Length: %d" % len(body) in head
    assert json.loads(body) == {"state": "as told", "busy": 1}


async def test_health_only_tells_that_it_lives() -> None:
    async with page(lambda: (False, {})) as asked:
        assert await asked.status(b"GET /health HTTP/1.0\r\n\r\n") == 200


async def test_a_request_may_come_in_pieces() -> None:
    async with page() as asked:
        assert await asked.status(*(bytes([byte]) for byte in b"GET /health HTTP/1.1\r\n\r\n")) == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /../ready HTTP/1.1\r\n\r\n", 404),
        (b"POST /ready HTTP/1.1\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET  HTTP/1.1\r\n\r\n", 404),
        (b"GET /ready\r\n\r\n", 400),
        (b"GET /ready HTTP/9.9\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id\r\n\r\n", 400),
        (b"x" * (MAX_REQUEST_BYTES + 1), 431),
        (b"GET /" + b"y" * 1_000_000, 431),
    ],
    ids=range(11),
)
async def test_rubbish_gets_a_short_answer_and_the_next_is_served(sent: bytes, status: int) -> None:
    async with page() as asked:
        # Where more is sent than is read, the connection may be reset before the answer is seen.
        assert await asked.status(sent) in ({status, 0} if status == 431 else {status})
        assert await asked.status(b"GET /health HTTP/1.1\r\n\r\n") == 200


async def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ANSWER_S", 0.01)
    async with page() as asked:
        assert await asked.ask(b"GET /hea") == b""


async def test_one_connection_too_many_is_hung_up_on() -> None:
    async with page() as asked:
        others = [await asked.connect() for _ in range(MAX_CONNECTIONS)]
        assert await asked.ask(b"GET /health HTTP/1.1\r\n\r\n") == b""
        others[0][1].write(b"GET /health HTTP/1.1\r\n\r\n")
        assert (await others[0][0].read()).startswith(b"HTTP/1.1 200")
        assert await asked.status(b"GET /health HTTP/1.1\r\n\r\n") == 200
    for _, writer in others:
        await close(writer)


async def test_a_taken_port_is_told() -> None:
    async with page() as asked:
        with pytest.raises(OSError, match="in use"):
            async with health_page(asked.port, READY):
                pass


async def test_head_has_the_same_head_and_no_body() -> None:
    for path in (b"/health", b"/ready"):
        async with page(lambda: (False, {"status": "unavailable"})) as probe:
            got = await probe.ask(b"GET " + path + b" HTTP/1.1\r\n\r\n")
            headed = await probe.ask(b"HEAD " + path + b" HTTP/1.1\r\n\r\n")
        assert headed == got.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert b"\r\nX-Content-Type-Options: nosniff\r\n" in headed
        assert (b"\r\nRetry-After: 2\r\n" in headed) == (path == b"/ready")


async def test_another_method_is_told_which_are_answered() -> None:
    async with page() as probe:
        assert b"\r\nAllow: GET, HEAD\r\n" in await probe.ask(b"POST /ready HTTP/1.1\r\n\r\n")


async def test_another_address_can_be_used() -> None:
    async with asyncio.timeout(30), health_page(0, READY, "127.0.0.2") as url:
        assert urlsplit(url).hostname == "127.0.0.2"
        reader, writer = await asyncio.open_connection("127.0.0.2", urlsplit(url).port)
        writer.write(b"GET /health HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        await close(writer)
