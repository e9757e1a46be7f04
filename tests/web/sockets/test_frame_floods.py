"""Clients that send very many small frames, which cost more to take than to send."""

import asyncio
from asyncio.transports import BaseTransport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.parsing_turns import MAX_PARTS, PIECE_BYTES
from gateway.web.http.socket_connection import MAX_PINGS, SocketConnection
from tests.web.gateway_server import served
from tests.web.sockets.test_hostile_sockets import ANSWER, frame, handshake, raw_socket, still_answers

TEXT, PING, PONG = 1, 9, 10
MANY = 20_000
"""More frames than one read of a socket has to be taken at once."""
DROPPED_BYTES = 32 * 1024 * 1024
"""More than the system's buffers hold: a client cannot send them unless they are read."""


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_a_flood_of_pings_ends_the_connection(tmp_path: Path, opcode: int) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        async with raw_socket(gateway) as (reader, writer):
            writer.write(frame(opcode, b"") * (MAX_PINGS + 1))
            answer = await reader.read()
        assert b"\x03\xf0More than 200 pings in 10 s." in answer
        assert await still_answers(gateway)


async def test_others_get_their_turn_between_the_frames_of_one_client() -> None:
    taken: list[str] = []
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while len(taken) < MANY:
            taken.append((await receive())["text"])
        done.set()

    async def look() -> None:
        while not done.is_set():
            at_turns.append(len(taken))
            await asyncio.sleep(0)

    at_turns = [0]
    async with asyncio.timeout(60), listening(app) as (reader, writer):
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"".join(frame(TEXT, b"%d" % number) for number in range(MANY)))
        await look()
    assert taken == [str(number) for number in range(MANY)]
    smallest = len(frame(TEXT, b"0"))
    in_one_turn = max(later - earlier for earlier, later in pairwise(at_turns))
    assert in_one_turn <= MAX_PARTS + PIECE_BYTES // smallest


async def test_a_flood_behind_our_close_is_dropped() -> None:
    """Else one client without a key takes the CPU for the ten seconds in which its close frame may come."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    class Patient(SocketConnection):
        """Waits for the client's close frame longer than a test lasts."""

        def connection_made(self, transport: BaseTransport) -> None:
            super().connection_made(transport)
            self.close_timeout = 3600.0

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            gone.set()

    gone = asyncio.Event()
    async with asyncio.timeout(60), listening(app, Patient) as (reader, writer):
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(TEXT, b"{}"))
        assert await reader.readexactly(4) == b"\x88\x02\x03\xf0"
        writer.write(frame(TEXT, b"{}") * MANY)
        assert await reader.read() == b""
        writer.write(bytes(DROPPED_BYTES))
        await writer.drain()
        writer.transport.abort()
        await gone.wait()


@asynccontextmanager
async def listening(
    app: Any, kind: type[SocketConnection] = SocketConnection
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of SocketConnections."""
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(kind, config, ServerState(), {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
