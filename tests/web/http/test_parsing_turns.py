"""While a client's chunks or frames wait for their turn, nothing more is read; afterwards it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.web.http.asgi import App, Receive, Scope, Send
from gateway.web.http.first_messages import FirstMessages
from gateway.web.http.parsing_turns import LARGE_READ_BYTES, MAX_PARTS, PIECE_BYTES, ParsingTurns
from gateway.web.http.socket_connection import MAX_FRAGMENTS, MAX_PINGS, SocketConnection
from tests.web.client_socket import ClientSocket, connected
from tests.web.http.test_endless_requests import CHUNKED, MANY, TINY, answers_at_once
from tests.web.sockets.test_hostile_sockets import frame, handshake

CONT, TEXT, PING = 0, 1, 9
NOT_VALID = frame(3, b"")
LARGE = bytes(80_000)
"""More than uvicorn buffers."""
ONE = frame(TEXT, b"1")


@contextmanager
def socket_connected(
    app: App, first_messages: FirstMessages | None = None
) -> Iterator[tuple[SocketConnection, ClientSocket]]:
    """A WebSocket without a network, before its handshake is answered."""
    state, socket = ServerState(), ClientSocket()
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    connection = SocketConnection(config, state, {}, first_messages=first_messages)
    connection.connection_made(socket)
    connection.data_received(handshake())
    try:
        yield connection, socket
    finally:
        connection.connection_lost(None)
        for task in state.tasks:
            task.cancel()


async def until_parsed(connection: ParsingTurns) -> None:
    async with asyncio.timeout(30):
        while connection.waits:  # noqa: ASYNC110  # the parser's turns have no event
            await asyncio.sleep(0)


async def until_read(socket: ClientSocket) -> None:
    async with asyncio.timeout(30):
        while not socket.reading:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)


async def accept(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})


async def takes_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(scope, receive, send)
    await asyncio.Event().wait()


async def takes_all(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(scope, receive, send)
    while (message := await receive()).get("more_body") or message["type"] == "websocket.receive":
        pass


async def test_a_body_that_is_taken_does_not_make_the_server_read_before_its_last_turn() -> None:
    told = asyncio.Event()

    async def takes_when_told(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await told.wait()
            told.clear()
            await receive()

    with connected(takes_when_told) as client:
        client.send(CHUNKED + b"%x\r\n%b\r\n" % (len(LARGE), LARGE) + TINY * MANY)
        while client.connection.waits:
            await asyncio.sleep(0)
            assert not (client.connection.waits and client.socket.reading)
            told.set()
        await until_read(client.socket)


async def test_a_body_that_nobody_takes_is_not_read_on_behind_its_last_turn() -> None:
    with connected(takes_nothing) as client:
        client.send(CHUNKED + TINY * MANY + b"%x\r\n%b" % (len(LARGE), LARGE))
        await until_parsed(client.connection)
        assert not client.socket.reading


async def test_bodies_behind_their_answers_do_not_end_the_connection() -> None:
    with connected(answers_at_once) as client:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (10 * len(LARGE)))
        await client.until_answered()
        client.send(10 * LARGE)
        await until_parsed(client.connection)
        for _ in range(4 * MAX_PARTS):
            client.send(CHUNKED)
            await client.until_answered()
            client.send(TINY + b"0\r\n\r\n")
        assert not client.socket.closed


async def test_after_a_large_read_others_get_their_turn() -> None:
    with connected(takes_all) as client:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (4 * LARGE_READ_BYTES))
        await asyncio.sleep(0)
        assert not client.connection.waits
        for _ in range(3):
            client.send(bytes(LARGE_READ_BYTES))
            assert client.connection.waits
            assert not client.socket.reading
            await until_read(client.socket)


async def test_what_comes_while_data_waits_is_parsed_behind_it() -> None:
    taken = bytearray()

    async def collects(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            taken.extend(message["body"])

    with connected(collects) as client:
        pieces = [b"1\r\n%c\r\n" % (97 + number % 26) for number in range(3 * MANY)]
        client.send(CHUNKED + b"".join(pieces[:MANY]))
        assert client.connection.waits
        client.connection.data_received(b"".join(pieces[MANY:]))
        async with asyncio.timeout(30):
            while len(taken) < len(pieces):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0)
        assert taken == b"".join(piece[3:4] for piece in pieces)


async def test_messages_that_are_taken_do_not_make_the_server_read_before_their_last_turn() -> None:
    told = asyncio.Event()

    async def takes_when_told(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(scope, receive, send)
        while True:
            await told.wait()
            told.clear()
            while not connection.queue.empty():
                await receive()

    with socket_connected(takes_when_told) as (connection, socket):
        await asyncio.sleep(0)
        connection.data_received(ONE * MANY)
        while connection.waits:
            told.set()
            await asyncio.sleep(0)
            assert not (connection.waits and socket.reading)
        told.set()
        await until_read(socket)


async def test_messages_that_nobody_takes_are_not_read_on_behind_their_last_turn() -> None:
    with socket_connected(takes_nothing) as (connection, socket):
        connection.data_received(ONE * MANY)
        await until_parsed(connection)
        assert not socket.reading


@pytest.mark.parametrize("app", [takes_all, takes_nothing])
@pytest.mark.parametrize("frames", [1, MANY])
async def test_a_socket_that_ends_by_a_wrong_frame_is_read_on_so_that_its_client_is_heard(
    app: App, frames: int
) -> None:
    """Also if it ends in a turn for which reading was paused."""
    with socket_connected(app) as (connection, socket):
        await asyncio.sleep(0)
        connection.data_received(ONE * frames + NOT_VALID + ONE * MANY)
        await until_parsed(connection)
        assert socket.reading
        assert socket.closed
        assert socket.written.endswith(b"\x88\x10\x03\xeainvalid opcode")


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(ONE * MAX_FRAGMENTS, id="messages"),
        pytest.param(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 3000, id="fragments"),
        pytest.param(frame(PING, b"") * MAX_PINGS, id="pings"),
    ],
)
async def test_frames_of_each_kind_are_taken_in_turns(flood: bytes) -> None:
    with socket_connected(takes_all) as (connection, _):
        connection.data_received(flood)
        assert connection.waits
        taken = 0
        while connection.waits:
            assert MAX_PARTS <= connection.parts - taken <= MAX_PARTS + PIECE_BYTES // len(frame(PING, b""))
            taken = connection.parts
            await asyncio.sleep(0)


async def test_a_client_may_leave_while_its_frames_wait() -> None:
    with socket_connected(takes_all) as (connection, socket):
        connection.data_received(ONE * MANY)
    await asyncio.sleep(0)
    assert not socket.reading
    assert not connection.waits
