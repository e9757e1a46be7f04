"""A connection of the gateway without a network: a client's bytes go in, the answer's bytes are kept."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.server import ServerState

from gateway.web.http.asgi import App
from gateway.web.http.connection import ClientConnection

PIECE_BYTES = 4096


class ClientSocket(asyncio.Transport):
    """closed: the client reads the end. gone: the connection is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True
        self.gone = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.gone.is_set()

    def close(self) -> None:
        self.closed = True
        self.gone.set()

    def abort(self) -> None:
        self.close()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """The client reads the end here, although the gateway may still drop what it sends."""
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = not self.is_closing()


class Client:
    """connection: the gateway's side. socket: ours."""

    def __init__(self, app: App) -> None:
        self.state = ServerState()
        self.connection = ClientConnection(
            uvicorn.Config(app, log_config=None, lifespan="off"), self.state, {}
        )
        self.socket = ClientSocket()
        self.connection.connection_made(self.socket)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def send_for_ever(self, line: bytes, give_up_bytes: int = 1024 * 1024) -> int:
        """Send the line again and again until the connection takes no more; how many bytes it took."""
        piece = (line * (PIECE_BYTES // len(line) + 1))[:PIECE_BYTES]
        taken = 0
        while not self.socket.closed and self.socket.reading and taken < give_up_bytes:
            self.send(piece)
            taken += len(piece)
        return taken

    async def until_answered(self) -> None:
        """Return when every request that was taken has its answer."""
        while self.state.tasks:
            await asyncio.wait(self.state.tasks)


@contextmanager
def connected(app: App) -> Iterator[Client]:
    client = Client(app)
    try:
        yield client
    finally:
        client.connection.connection_lost(None)
        for task in client.state.tasks:
            task.cancel()
