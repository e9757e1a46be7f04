"""Bytes that clients send on WebSockets before they have shown a key count until they are answered."""

import asyncio
import struct
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.contract.events import Delta, Done
from gateway.web.http import first_messages
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.first_messages import FRAGMENT_BYTES, SMALL_BYTES, FirstMessages
from gateway.web.http.socket_connection import SocketConnection
from tests.web.gateway_server import served
from tests.web.http.test_parsing_turns import accept, socket_connected, takes_all, until_parsed
from tests.web.key_holders import make_key
from tests.web.rooms.members import WIRES, Wire, websocket
from tests.web.sockets.test_hostile_sockets import frame
from transports.scripted import Step

ANSWER: list[Step] = [[Delta("So.")], [Done("stop")]]
CONT, TEXT = 0, 1
LARGE = b"x" * 100_000
"""More than is taken from a stranger while too much is held."""
TRY_AGAIN_LATER = struct.pack("!H", 1013)
MANY_FRAGMENTS = SMALL_BYTES // FRAGMENT_BYTES


def text(body: bytes) -> bytes:
    return b"\x81\xff" + struct.pack("!Q", len(body)) + bytes(4) + body


def fragments(number: int) -> bytes:
    return frame(TEXT, b"{}", fin=False) + frame(CONT, b"", fin=False) * (number - 2) + frame(CONT, b"")


@pytest.fixture(autouse=True)
def _is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_messages, "MAX_BYTES", 0)


async def takes_two(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(scope, receive, send)
    await receive()
    await receive()


async def in_turn(connection: SocketConnection) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    await until_parsed(connection)


async def test_a_message_that_has_begun_counts_although_the_one_before_it_was_answered() -> None:
    counted = FirstMessages()
    half = LARGE[: SMALL_BYTES // 2]
    with socket_connected(takes_two, counted) as (connection, _):
        connection.data_received(frame(TEXT, b"{}") + text(LARGE)[: 14 + len(half)])
        await in_turn(connection)
        assert counted.total == len(half)
        connection.data_received(half)
        assert counted.total == 2 * len(half)
    assert counted.total == 0


async def test_all_messages_count_until_the_last_one_is_answered() -> None:
    counted = FirstMessages()
    with socket_connected(takes_two, counted) as (connection, _):
        connection.data_received(frame(TEXT, b"{}") * 3)
        await in_turn(connection)
        assert counted.total == len(frame(TEXT, b"{}") * 3)


async def test_fragments_of_a_message_that_has_begun_go_on_counting() -> None:
    counted = FirstMessages()
    with socket_connected(takes_two, counted) as (connection, _):
        begun = frame(TEXT, b"x", fin=False) + frame(CONT, b"x", fin=False) * 3
        connection.data_received(frame(TEXT, b"{}") + begun)
        await in_turn(connection)
        assert counted.total == 4 * len(b"x") + 4 * FRAGMENT_BYTES


async def test_what_waits_for_its_turn_goes_on_counting() -> None:
    counted = FirstMessages()
    with socket_connected(takes_all, counted) as (connection, _):
        await in_turn(connection)
        connection.data_received(frame(TEXT, b"{}") * 1000)
        await asyncio.sleep(0)
        assert connection.waits
        assert counted.total > len(frame(TEXT, b"{}") * 800)
        await in_turn(connection)
        await asyncio.sleep(0)
        assert counted.total == 0


async def test_many_fragments_count_although_they_are_empty() -> None:
    with socket_connected(takes_two, FirstMessages()) as (connection, socket):
        await in_turn(connection)
        connection.data_received(fragments(MANY_FRAGMENTS // 2))
        await in_turn(connection)
        assert not socket.closed
        connection.data_received(fragments(2 * MANY_FRAGMENTS))
        await in_turn(connection)
        assert socket.closed
        assert TRY_AGAIN_LATER in socket.written


async def test_a_known_client_may_send_many_fragments() -> None:
    counted = FirstMessages()
    with socket_connected(takes_two, counted) as (connection, socket):
        await in_turn(connection)
        connection.admit()
        connection.data_received(fragments(4000))
        await in_turn(connection)
        assert not socket.closed
        assert counted.total == 0


async def test_a_client_of_socket_io_counts_until_it_has_joined_a_namespace(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        with pytest.raises(ConnectionClosed) as refused:
            async with websocket(gateway.url, {"label": "x" * SMALL_BYTES}):
                pass
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 1013


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_a_client_that_has_joined_may_send_large_events(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        await make_key(gateway, "ann")
        key = await make_key(gateway, "eve")
        async with wire(gateway.url, {"token": key}) as member:
            answer = await member.call("no:event", "x" * len(LARGE))
            assert answer["error"]["code"]
