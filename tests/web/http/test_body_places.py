"""Large bodies that never end: those of one user do not fill the memory."""

import asyncio
import gzip
from base64 import b64encode
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.contract.errors import LimitExceeded
from gateway.web.http.body_limits import PLACELESS_BYTES
from gateway.web.http.body_places import PLACES, BodyPlaces
from tests.live.looking import look_again
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

SESSIONS, ATTACHMENTS = "/api/chatbot/sessions", "/api/chatbot/attachments"
LARGE = b'{"title": "' + b"x" * 4 * PLACELESS_BYTES


async def begin(
    stack: AsyncExitStack, gateway: Served, key: str, body: bytes, coding: str
) -> asyncio.StreamWriter:
    """Send a body without its last byte."""
    url = urlsplit(gateway.url)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    stack.callback(writer.close)
    writer.write(
        f"POST {SESSIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: {coding}\r\nX-API-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body[:-1]
    )
    return writer


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_user_has_a_limited_number_of_bodies_that_arrive(tmp_path: Path, coding: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hi")) as gateway, AsyncExitStack() as stack:
        anna, ben = await make_key(gateway, "anna"), await make_key(gateway, "ben")
        arriving = gateway.assembled.gateway.arriving_bodies
        body = gzip.compress(LARGE) if coding == "gzip" else LARGE
        begun = [await begin(stack, gateway, anna, body, coding) for _ in range(PLACES)]
        while len(arriving) < PLACES:
            await look_again()
        further = asyncio.create_task(
            gateway.http.post(SESSIONS, content=LARGE + b'"}', headers=json_of(anna))
        )
        while len(arriving) < PLACES + 1:
            await look_again()
        small = await gateway.http.post(SESSIONS, content=b'{"title": "x"}', headers=json_of(anna))
        others = await gateway.http.post(SESSIONS, content=LARGE + b'"}', headers=json_of(ben))
        assert (small.status_code, others.status_code, further.done()) == (201, 422, False)
        begun[0].close()
        assert (await further).status_code == 422
        for writer in begun:
            writer.close()
        while len(arriving):
            await look_again()


def json_of(key: str) -> dict[str, str]:
    return {"content-type": "application/json", **bearer(key)}


async def test_a_body_that_waits_too_long_is_refused_and_forgotten() -> None:
    bodies = BodyPlaces()
    leaves = [await bodies.take("anna", 30) for _ in range(PLACES)]
    with pytest.raises(LimitExceeded) as refused:
        await bodies.take("anna", 0)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 2)
    waiting = asyncio.create_task(bodies.take("anna", 30))
    while len(bodies) == PLACES:
        await look_again()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert len(bodies) == PLACES
    for leave in leaves:
        leave()
    assert len(bodies) == 0


async def test_in_open_mode_no_body_waits(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hi")) as gateway:
        sent = await gateway.http.post(SESSIONS, content=LARGE + b'"}', headers=json_of("none"))
        assert (sent.status_code, len(gateway.assembled.gateway.arriving_bodies)) == (422, 0)


async def test_attachments_are_read_in_the_same_places(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hi")) as gateway:
        anna = bearer(await make_key(gateway, "anna"))
        file = {"name": "a.txt", "data": b64encode(b"hello").decode()}
        id = (await gateway.http.post(ATTACHMENTS, json=file, headers=anna)).json()["id"]
        part = {"type": "attachment", "attachment": {"id": id}}
        arriving = gateway.assembled.gateway.arriving_bodies
        leaves = [await arriving.take("anna", 30) for _ in range(PLACES)]
        naming = asyncio.create_task(gateway.http.post(STREAM, json={"content": [part]}, headers=anna))
        while len(arriving) < PLACES + 1:
            await look_again()
        other = await gateway.http.post(STREAM, json={"content": "Hello"}, headers=anna)
        assert (other.status_code, naming.done()) == (200, False)
        for leave in leaves:
            leave()
        assert ((await naming).status_code, len(arriving)) == (200, 0)


async def test_few_attachments_are_kept_for_clients_that_do_not_read(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hi")) as gateway, AsyncExitStack() as stack:
        key = await make_key(gateway, "anna")
        picture = b"\x89PNG\r\n\x1a\n" + b"x" * 16 * 1024 * 1024
        file = {"name": "a.png", "data": b64encode(picture).decode()}
        id = (await gateway.http.post(ATTACHMENTS, json=file, headers=bearer(key))).json()["id"]
        leaving = gateway.assembled.gateway.leaving_attachments
        url = urlsplit(gateway.url)
        request = f"GET {ATTACHMENTS}/{id} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
        readers = []
        for _ in range(PLACES + 1):
            reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=1024)
            stack.callback(writer.close)
            writer.write(request.encode())
            readers.append(reader)
        while len(leaving) < PLACES + 1:
            await look_again()
        first = [asyncio.create_task(reader.readuntil(b"\r\n")) for reader in readers]
        while sum(task.done() for task in first) < PLACES:
            await look_again()
        assert sum(task.done() for task in first) == PLACES
        done = next(index for index, task in enumerate(first) if task.done())
        await readers[done].readuntil(b"\r\n\r\n")
        assert await readers[done].readexactly(len(picture)) == picture
        async with asyncio.timeout(30):
            assert {await task for task in first} == {b"HTTP/1.1 200 OK\r\n"}
