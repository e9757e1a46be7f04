"""What becomes of a client that has been answered and asks nothing more."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.connection import ClientConnection


class Socket(asyncio.Transport):
    """Holds what its client has not taken yet."""

    def __init__(self, untaken_bytes: int) -> None:
        super().__init__()
        self._untaken_bytes = untaken_bytes
        self.ended: list[str] = []

    def get_write_buffer_size(self) -> int:
        return self._untaken_bytes

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended.append("closed")

    def abort(self) -> None:
        self.ended.append("aborted")


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
