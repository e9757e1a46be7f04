"""Waiting for a reply, or for another answer, while its client may disconnect."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gateway.contract.errors import NotFound
from gateway.core.follower import Follower
from gateway.core.runs import Runs
from gateway.web.http.asgi import Connection

Answer = TypeVar("Answer")


class Client:
    """Stops a follower when its client disconnects."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.gone = False

    def connection_lost(self) -> None:
        self.gone = True
        self._follower.stop()

    def connection_writable(self) -> None:
        pass


@contextmanager
def waiting(connection: Connection, follower: Follower) -> Iterator[Client]:
    """Stop the follower if the connection is lost within this context."""
    client = Client(follower)
    connection.watch(client)
    try:
        yield client
    finally:
        connection.watch(None)


async def until_ended(runs: Runs, stream_id: str, user_id: str, connection: Connection) -> bool:
    """Return True when the reply has ended, or False if the client disconnects before."""
    try:
        run = runs.find(stream_id, user_id)
    except NotFound:
        return True  # an old reply, found by its Idempotency-Key
    with runs.following(run) as follower, waiting(connection, follower) as client:
        while await follower.read() is not None:
            pass
    return not client.gone


async def unless_gone(connection: Connection, work: Awaitable[Answer]) -> Answer | None:
    """Return the result of `work`. None if the client disconnects before; then `work` is cancelled."""
    patience = asyncio.timeout(None)
    try:
        async with patience:
            connection.watch(_Departure(patience))
            return await work
    except TimeoutError:
        if not patience.expired():
            raise
        return None
    finally:
        connection.watch(None)


class _Departure:
    """Ends a wait when its client disconnects."""

    def __init__(self, patience: asyncio.Timeout) -> None:
        self._patience = patience

    def connection_lost(self) -> None:
        self._patience.reschedule(asyncio.get_running_loop().time())

    def connection_writable(self) -> None:
        pass
