"""What becomes of a client that has been answered and asks nothing more."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.connection import ClientConnection
from gateway.web.asgi import Receive, Scope, Send


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
