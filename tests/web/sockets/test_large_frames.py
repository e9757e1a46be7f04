"""A client that sends a frame which is too large before it reads learns why its WebSocket is closed."""

import asyncio
import struct
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done
from gateway.process import serve
from gateway.web.http import first_messages, socket_connection
from tests.live.looking import look_again
from tests.web.gateway_server import served
from tests.web.key_holders import bearer, make_key
from tests.web.rooms.members import plain
from tests.web.rooms.test_wires import new_room
from tests.web.sockets.page_socket import page_socket
from tests.web.sockets.test_hostile_sockets import (
    frame,
    handshake,
    raw_connection,
    raw_socket,
    still_answers,
)
from transports.scripted import Step

ANSWER: list[Step] = [[Delta("So.")], [Done("stop")]]
MEBIBYTE = 1024 * 1024
TARGETS = {"plain": "/ws", "socket.io": "/socket.io/?EIO=4&transport=websocket"}


def large_frame(size: int) -> bytes:
    """The beginning of a text frame of this size."""
    return b"\x81\xff" + struct.pack("!Q", size) + bytes(4) + b"x" * min(size, 16 * MEBIBYTE)


@pytest.mark.parametrize("target", TARGETS)
async def test_a_client_that_reads_only_when_it_has_sent_everything_gets_1009(
    tmp_path: Path, target: str
) -> None:
    async with served(tmp_path, lambda _: ANSWER, max_body_bytes=MEBIBYTE) as gateway:
        reader, writer = await raw_connection(gateway)
        writer.write(handshake("GET", TARGETS[target]))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(large_frame(16 * MEBIBYTE))
        await writer.drain()
        writer.write(frame(1, b'{"event":"presence:update"}'))
        await reader.readuntil(b"\x88")
        assert struct.unpack("!xH", await reader.readexactly(3)) == (1009,)
        writer.close()
        assert await still_answers(gateway)


async def test_strangers_together_fill_no_memory_and_small_messages_are_still_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_messages, "MAX_BYTES", 2 * MEBIBYTE)
    half = large_frame(MEBIBYTE)[: 900 * 1024]
    long = [{"id": "u", "role": "user", "parts": [{"type": "text", "text": "x" * 300_000}]}]
    async with served(tmp_path, lambda _: ANSWER, max_content_chars=400_000) as gateway:
        key = await make_key(gateway, "ann")
        async with raw_socket(gateway) as (_, first), raw_socket(gateway) as (_, second):
            for writer in (first, second):
                writer.write(half)
                await writer.drain()
            async with raw_socket(gateway) as (reader, third):
                third.write(half)
                said = await reader.read()
                assert struct.unpack("!H", said[said.index(b"\x88") + 2 :][:2]) == (1013,)
            async with page_socket(gateway.url) as page:
                await page.send("r1", headers=bearer(key))
                assert (await page.heard("r1")).text == "So."
                await page.send("r2", messages=long, headers=bearer(key))
                assert (await page.heard("r2")).text == "So.", "she is no stranger any more"


async def test_a_user_may_send_more_in_a_message_than_a_stranger(tmp_path: Path) -> None:
    async with served(
        tmp_path, lambda _: ANSWER, max_content_chars=3 * MEBIBYTE, max_body_bytes=4 * MEBIBYTE
    ) as gateway:
        key = await make_key(gateway, "ann")
        async with page_socket(gateway.url) as page:
            await page.send("r1", headers=bearer(key))
            assert (await page.heard("r1")).text == "So."
            long = [{"id": "u", "role": "user", "parts": [{"type": "text", "text": "x" * 2 * MEBIBYTE}]}]
            await page.send("r2", messages=long, headers=bearer(key))
            assert (await page.heard("r2")).text == "So."


async def test_what_strangers_held_is_free_when_it_is_answered_or_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = first_messages.FirstMessages()
    monkeypatch.setattr(first_messages, "MAX_BYTES", MEBIBYTE)
    monkeypatch.setattr(serve, "FirstMessages", lambda: counted)
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        await make_key(gateway, "ann")
        async with page_socket(gateway.url) as page:
            for number in range(5):
                await page.send(f"r{number}", metadata="x" * 300_000)
                assert (await page.until(f"r{number}"))["type"] == "error"
        async with raw_socket(gateway) as (_, writer):
            writer.write(large_frame(MEBIBYTE)[: 900 * 1024])
            await writer.drain()
            while counted.total < 800 * 1024:
                await look_again()
        while counted.total:
            await look_again()


def test_what_a_client_held_is_not_counted_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_messages, "MAX_BYTES", 100_000)
    counted = first_messages.FirstMessages()
    assert counted.takes("a", 90_000)
    assert not counted.takes("b", 90_000)
    assert counted.takes("b", 10_000), "a small one"
    counted.forget("a")
    counted.forget("b")
    assert counted.takes("b", 90_000)
    assert not counted.takes("b", 90_000)


async def test_its_room_hears_at_once_that_it_is_gone(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: ANSWER, max_body_bytes=MEBIBYTE) as gateway,
        plain(gateway.url) as neighbour,
    ):
        room = await new_room(gateway)
        await neighbour.done("room:join", {"roomId": room})
        async with raw_socket(gateway) as (reader, writer):
            writer.write(frame(1, b'{"event":"auth","data":{"userId":"eve"}}'))
            writer.write(frame(1, b'{"event":"room:join","data":{"roomId":"%b"}}' % room.encode()))
            assert (await neighbour.until("room:join"))[1]["userId"] == "eve"
            writer.write(large_frame(2**40)[:100])
            assert (await neighbour.until("room:leave"))[1]["userId"] == "eve"
            await reader.read()


async def test_a_client_that_sends_for_ever_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_connection, "MAX_DROPPED_BYTES", MEBIBYTE)
    async with served(tmp_path, lambda _: ANSWER, max_body_bytes=MEBIBYTE) as gateway:
        async with raw_socket(gateway) as (_, writer):
            writer.write(large_frame(2**40)[:100])
            with pytest.raises(ConnectionError):
                await send_for_ever(writer)
        assert await still_answers(gateway)


async def test_the_end_of_the_gateway_does_not_wait_for_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER, max_body_bytes=MEBIBYTE) as gateway:
        reader, writer = await raw_connection(gateway)
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(large_frame(2**40)[:100])
        await reader.read()
    with pytest.raises(ConnectionError):
        await send_for_ever(writer)


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(MEBIBYTE))
        await writer.drain()
