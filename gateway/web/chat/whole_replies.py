"""Waiting for a reply on behalf of a client who may go away meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.contract.errors import NotFound
from gateway.core.follower import Follower
from gateway.core.runs import Runs
from gateway.web.http.asgi import Connection


class Client:
    """Stops a follower when its client goes away."""

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
    """Follow on behalf of the client at `connection`."""
    client = Client(follower)
    connection.watch(client)
    try:
        yield client
    finally:
        connection.watch(None)


async def until_ended(runs: Runs, stream_id: str, user_id: str, connection: Connection) -> bool:
    """Return True when the reply has ended, or False when the client has gone before that."""
    try:
        run = runs.find(stream_id, user_id)
    except NotFound:
        return True  # It was asked with an Idempotency-Key that was used long ago.
    with runs.following(run) as follower, waiting(connection, follower) as client:
        while await follower.read() is not None:
            pass
    return not client.gone
