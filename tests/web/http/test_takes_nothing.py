"""Clients that take nothing of a long answer: cut off after SEND_TIMEOUT_S, whatever the answer is."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.contract.authors import Author
from gateway.contract.events import Delta, Done
from gateway.contract.room_events import MessagePosted
from gateway.core.session_news import MAX_WAITING, Listener
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Step

API = "/api/chatbot"
ANNA = Author("user", "anna")


def said(id: int, text: str) -> MessagePosted:
    return MessagePosted(id, str(id), ANNA, "user", text, datetime(2026, 1, 31, tzinfo=UTC))


MEGABYTE = 1_000_000
MORE_THAN_SOCKETS_HOLD = 8
"""Times a megabyte: a socket of this machine takes 4 MiB for a client that reads nothing."""


def much(_: object) -> list[Step]:
    return [*([Delta("x" * MEGABYTE)] for _ in range(MORE_THAN_SOCKETS_HOLD)), [Done("stop")]]


def little(_: object) -> list[Step]:
    return [[Delta("x"), Done("stop")]]


async def deaf_client(gateway: Served, request: str, body: str = "") -> socket.socket:
    """A connection that asks and then reads nothing."""
    address = urlsplit(gateway.url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (address.hostname, address.port))
    head = f"{request} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    await loop.sock_sendall(raw, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return raw


async def reset(raw: socket.socket) -> None:
    """Return when the other side has cut the connection; nothing is read."""
    poll = select.poll()
    poll.register(raw, select.POLLRDHUP)
    await asyncio.to_thread(poll.poll, 60_000)
    assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, "it was not cut off"
    raw.close()


@asynccontextmanager
async def impatient(tmp_path: Path, script: object, **settings: object) -> AsyncIterator[Served]:
    async with served(
        tmp_path,
        script,  # type: ignore[arg-type]
        within_s=60,
        send_timeout_s=0.05,
        max_content_chars=2 * MEGABYTE,
        **settings,  # type: ignore[arg-type]
    ) as gateway:
        yield gateway


async def a_large_session(gateway: Served) -> None:
    for _ in range(MORE_THAN_SOCKETS_HOLD):
        body = {"content": "x" * MEGABYTE, "session_id": 1}
        assert (await gateway.http.post(f"{API}/messages", json=body)).status_code == 200


@pytest.mark.parametrize(
    "path", ["sessions/1/export?format=json", "sessions/1/export?format=md", "sessions/1/messages?limit=1000"]
)
async def test_a_long_answer_is_not_held_for_a_client_that_takes_nothing(tmp_path: Path, path: str) -> None:
    async with impatient(tmp_path, little) as gateway:
        await gateway.http.post(f"{API}/sessions")
        await a_large_session(gateway)
        await reset(await deaf_client(gateway, f"GET {API}/{path}"))


async def test_a_listener_that_takes_nothing_is_cut_off_and_forgotten(tmp_path: Path) -> None:
    async with impatient(tmp_path, little) as gateway:
        await gateway.http.post(f"{API}/sessions")
        raw = await deaf_client(gateway, f"GET {API}/sessions/1/events")
        await a_large_session(gateway)
        await reset(raw)
    assert len(gateway.assembled.gateway.news) == 0


@pytest.mark.parametrize("told_from", ["live", "journal", "database"])
async def test_a_stream_that_nobody_takes_is_cut_off(tmp_path: Path, told_from: str) -> None:
    settings = {"journal_ttl_s": 0} if told_from == "database" else {"journal_max_bytes": 64 * MEGABYTE}
    async with impatient(tmp_path, much, **settings) as gateway:
        raw = await deaf_client(gateway, f"POST {STREAM}", '{"content":"x","resumable":true}')
        await reset(raw)
        if told_from == "live":
            return
        await gateway.transport.idle()
        *_, reply = await gateway.assembled.gateway.store.messages("local", 1, after=0, limit=2)
        await reset(await deaf_client(gateway, f"GET {STREAM}/{reply.stream_id}"))


async def test_what_waits_for_a_listener_is_bounded() -> None:
    called: list[None] = []
    listener = Listener(lambda: called.append(None))
    listener.hear(said(1, "x" * 3 * MEGABYTE))
    assert not listener.closed
    listener.hear(said(2, "x"))
    assert listener.closed
    assert listener.take() is None
    assert len(called) == 2
    many = Listener(lambda: called.append(None))
    for number in range(MAX_WAITING):
        many.hear(said(number, "x"))
    assert not many.closed
    many.hear(said(0, "x"))
    assert many.closed
