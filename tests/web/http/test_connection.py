"""Clients that are cut off: they take nothing of their answer, or were answered and ask nothing more."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.web.http.asgi import Receive, Scope, Send, connection_of
from gateway.web.http.connection import ClientConnection
from gateway.web.http.departures import unless_gone


class Socket(asyncio.Transport):
    """Holds what its client has not taken yet."""

    def __init__(self, untaken_bytes: int) -> None:
        super().__init__()
        self.untaken_bytes = untaken_bytes
        self.ended: list[str] = []

    def get_write_buffer_size(self) -> int:
        return self.untaken_bytes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else default

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Linger is set before an abort."""

    def getpeername(self) -> None:
        """It has no address."""

    getsockname = getpeername

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Takes all; `untaken_bytes` says what of it waits."""

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended.append("closed")

    def abort(self) -> None:
        self.ended.append("aborted")


async def test_a_connection_has_few_enough_attributes_for_a_small_dict() -> None:
    """Python keeps up to 30 attributes in a tenth of the 1.5 KiB that a dict of its own takes."""
    connection = ClientConnection(uvicorn.Config(nothing, log_config=None), ServerState(), {})
    assert len(vars(connection)) <= 30


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


@pytest.mark.parametrize(("untaken_bytes", "end"), [(0, "closed"), (1, "aborted")])
async def test_a_client_that_never_takes_its_answer_is_not_waited_for(untaken_bytes: int, end: str) -> None:
    config = uvicorn.Config(nothing, log_config=None)
    connection = ClientConnection(config, ServerState(), {})
    socket = Socket(untaken_bytes)
    connection.transport = socket
    connection.timeout_keep_alive_handler()
    assert socket.ended == [end]


async def test_an_answer_in_the_making_outlives_what_its_client_sends_too_early() -> None:
    answering = asyncio.Event()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        answering.set()
        await asyncio.Event().wait()

    state = ServerState()
    connection = ClientConnection(uvicorn.Config(answer, log_config=None, lifespan="off"), state, {})
    socket = Socket(0)
    connection.connection_made(socket)
    connection.data_received(b"GET / HTTP/1.1\r\n\r\n")
    await answering.wait()
    connection.data_received(b"\r\nGET /he")
    assert connection._deadline is not None
    connection._miss_deadline()
    assert socket.ended == []
    connection.connection_lost(None)
    for task in state.tasks:
        task.cancel()
    await asyncio.wait(state.tasks)


async def test_a_body_that_no_endpoint_has_read_is_not_kept_with_the_connection() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    state, socket = ServerState(), Socket(0)
    connection = ClientConnection(uvicorn.Config(refuse, log_config=None, lifespan="off"), state, {})
    connection.connection_made(socket)
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + bytes(50_000))
    assert len(connection.cycle.body) == 50_000
    await asyncio.wait(state.tasks)
    assert socket.ended == []
    assert connection.cycle.body == b""
    connection.connection_lost(None)


@pytest.mark.parametrize("aborts", ["the endpoint", "the kernel"])
async def test_an_endpoint_that_ends_with_its_lost_connection_is_no_bug(
    aborts: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if aborts == "the endpoint":
            connection_of(scope).abort()
        else:
            socket.abort()
            assert await unless_gone(connection_of(scope), asyncio.Event().wait()) is None

    state, socket = ServerState(), Socket(0)
    connection = ClientConnection(uvicorn.Config(answer, log_config=None, lifespan="off"), state, {})
    connection.connection_made(socket)
    connection.data_received(b"GET / HTTP/1.1\r\n\r\n")
    await asyncio.wait(state.tasks)
    connection.connection_lost(None)
    assert socket.ended[0] == "aborted"
    assert [record.getMessage() for record in caplog.records] == []


class Clock:
    """An event loop's timers, fired by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: dict[object, Any] = {}

    def call_later(self, delay_s: float, callback: Callable[..., None], *args: Any) -> "Timer":
        timer = Timer(self._timers)
        self._timers[timer] = (self.now_s + delay_s, callback, args)
        return timer

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        for timer, (due_s, callback, args) in list(self._timers.items()):
            if due_s <= self.now_s and self._timers.pop(timer, None) is not None:
                callback(*args)


class Timer:
    def __init__(self, timers: dict[object, Any]) -> None:
        self._timers = timers

    def cancel(self) -> None:
        self._timers.pop(self, None)


def connected(clock: Clock, socket: Socket) -> ClientConnection:
    config = uvicorn.Config(nothing, log_config=None, lifespan="off", timeout_keep_alive=1_000)
    loop = cast(asyncio.AbstractEventLoop, clock)
    connection = ClientConnection(config, ServerState(), {}, loop)
    connection.connection_made(socket)
    return connection


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    clock, socket = Clock(), Socket(100)
    connected(clock, socket).pause_writing()
    clock.advance(19)
    assert socket.ended == []
    clock.advance(1)
    assert socket.ended == ["aborted"]


def test_a_client_that_catches_up_has_all_the_time_again() -> None:
    clock, socket = Clock(), Socket(100)
    connection = connected(clock, socket)
    connection.pause_writing()
    clock.advance(19)
    connection.resume_writing()
    connection.pause_writing()
    clock.advance(19)
    assert socket.ended == []
    clock.advance(1)
    assert socket.ended == ["aborted"]


def test_a_client_that_leaves_the_end_of_its_last_answer_is_cut_off() -> None:
    clock, socket = Clock(), Socket(100)
    connection = connected(clock, socket)
    socket.close()
    connection.on_response_complete()
    clock.advance(20)
    assert socket.ended == ["closed", "aborted"]


def test_a_client_that_has_taken_all_of_its_last_answer_is_left_alone() -> None:
    clock, socket = Clock(), Socket(100)
    connection = connected(clock, socket)
    socket.close()
    connection.on_response_complete()
    socket.untaken_bytes = 0
    clock.advance(20)
    assert socket.ended == ["closed"]
