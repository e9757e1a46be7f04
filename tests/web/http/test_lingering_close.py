"""A client that is still sending when it is answered: its connection is closed late, but not too late."""

import asyncio
import errno
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.web.http import connection, lingering_close
from gateway.web.http.connection_limits import Arrivals
from tests.web.client_socket import Client, ClientSocket, connected
from tests.web.http.test_endless_requests import answers_at_once

LONG = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 1000000000\r\n\r\n"


async def answered(client: Client, request: bytes) -> None:
    client.send(request)
    await client.until_answered()
    assert client.socket.written.endswith(b"ok")
    assert client.socket.closed


async def test_a_client_whose_request_is_whole_is_not_waited_for() -> None:
    with connected(answers_at_once) as client:
        await answered(client, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert client.socket.gone.is_set()


async def test_a_silent_client_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "SILENCE_S", 0.01)
    with connected(answers_at_once) as client:
        await answered(client, LONG)
        assert not client.socket.gone.is_set()
        await client.socket.gone.wait()


async def test_a_client_that_goes_on_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "SILENCE_S", 0.01)
    monkeypatch.setattr(lingering_close, "MAX_S", 0)
    with connected(answers_at_once) as client:
        await answered(client, LONG)
        client.send(b"a")
        await client.socket.gone.wait()


async def test_a_client_that_sends_for_ever_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_DROPPED_BYTES", 100)
    with connected(answers_at_once) as client:
        await answered(client, LONG)
        client.send(b"a" * 100)
        assert not client.socket.gone.is_set()
        client.send(b"a")
        assert client.socket.gone.is_set()


async def test_nothing_of_it_is_taken_for_a_request() -> None:
    with connected(answers_at_once) as client:
        await answered(client, LONG)
        answer = client.socket.written
        client.send(b"GET / HTTP/1.1\r\n\r\n" * 3)
        assert not client.state.tasks
        assert client.socket.written == answer


class LastDescriptor(ClientSocket):
    """A connection that took a file descriptor of the reserve."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else default

    def getpeername(self) -> tuple[str, int]:
        return "10.0.0.1", 1

    getsockname = getpeername

    def fileno(self) -> int:
        return 900


async def test_a_connection_that_is_one_too_many_is_not_waited_for() -> None:
    socket, arrivals = LastDescriptor(), Arrivals(1024, time.monotonic)
    config = uvicorn.Config(answers_at_once, log_config=None)
    connection.ClientConnection(config, ServerState(), {}, arrivals=arrivals).connection_made(socket)
    assert socket.written.startswith(b"HTTP/1.1 503 ")
    assert socket.gone.is_set()


async def test_a_client_that_reset_its_connection_before_the_answer_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """asyncio notices the reset later than the kernel."""

    def refuse(socket: ClientSocket) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(lingering_close, "SILENCE_S", 0.01)
    monkeypatch.setattr(ClientSocket, "write_eof", refuse)
    with connected(answers_at_once) as client:
        client.send(LONG)
        async with asyncio.timeout(30):
            await client.socket.gone.wait()
        assert client.socket.written.endswith(b"ok")
