"""Clients of long polls whose POSTs overlap, stay incomplete, or are large before they have shown a key."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.room_channel import Place
from gateway.core.room_hall import RoomHall
from gateway.web.http.first_messages import SMALL_BYTES
from gateway.web.socket_io import engine_socket
from tests.web.gateway_server import Served, served
from tests.web.key_holders import make_key
from tests.web.rooms.members import Refused, plain, polling
from tests.web.rooms.test_hostile_members import ANSWER
from tests.web.rooms.test_wires import new_room
from tests.web.sockets.test_hostile_sockets import raw_connection

POLL = "/socket.io/?EIO=4&transport=polling"


async def stranger(gateway: Served) -> str:
    """Return the path of the polls of a client that has joined no namespace."""
    opened = (await gateway.http.get(POLL)).text
    return f"{POLL}&sid={json.loads(opened[1:])['sid']}"


async def half_a_post(gateway: Served, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await raw_connection(gateway)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n3".encode())
    return reader, writer


async def test_it_is_disconnected_and_stays_in_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, may_go_on = asyncio.Semaphore(0), asyncio.Event()
    real_join = RoomHall.join

    async def slow_join(*args: Any, **more: Any) -> Place:
        waiting.release()
        await may_go_on.wait()
        return await real_join(*args, **more)

    monkeypatch.setattr(RoomHall, "join", slow_join)
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        room = {"roomId": await new_room(gateway)}
        async with polling(gateway.url, {"userId": "eve"}) as eve:
            first = asyncio.create_task(eve.emit("room:join", room))
            await waiting.acquire()
            second = asyncio.create_task(eve.emit("room:join", room))
            joins_too = asyncio.create_task(waiting.acquire())
            await asyncio.wait([second, joins_too], return_when=asyncio.FIRST_COMPLETED)
            may_go_on.set()
            results = await asyncio.gather(first, second, return_exceptions=True)
            joins_too.cancel()
            assert isinstance(results[1], Refused)
            assert await eve.until_closed() == (0, "")
        async with plain(gateway.url, {"userId": "anna"}) as anna:
            people = (await anna.done("room:join", room))["people"]
    assert [person["userId"] for person in people] == ["anna"]


async def test_a_second_one_ends_the_one_that_still_arrives(tmp_path: Path) -> None:
    async with asyncio.timeout(30), served(tmp_path, lambda _: ANSWER) as gateway:
        path = await stranger(gateway)
        reader, writer = await half_a_post(gateway, path)
        while (second := await gateway.http.post(path, content="3")).status_code == httpx.codes.OK:
            pass  # the first one has not arrived at all
        assert second.json()["code"] == "bad_frame"
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_one_that_stays_incomplete_ends_with_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_socket, "ADMITTED_WITHIN_S", 0.5)
    async with asyncio.timeout(30), served(tmp_path, lambda _: ANSWER) as gateway:
        path = await stranger(gateway)
        reader, writer = await half_a_post(gateway, path)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_one_of_a_client_without_a_key_is_small(tmp_path: Path) -> None:
    large = "x" * SMALL_BYTES
    async with asyncio.timeout(30), served(tmp_path, lambda _: ANSWER) as gateway:
        key = await make_key(gateway, "ann")
        refused = await gateway.http.post(await stranger(gateway), content=f"40{large}")
        assert refused.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        async with polling(gateway.url, {"token": key}) as ann:
            assert (await ann.call("no:event", large))["error"]["code"]
