"""Waiting for a whole reply while its client may disconnect."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.contract.errors import NotFound
from gateway.core.follower import Follower
from gateway.web.http.asgi import Connection
from gateway.web.relay.elsewhere import check_ended
from gateway.web.services import Services


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


async def until_ended(gateway: Services, stream_id: str, user_id: str, connection: Connection) -> bool:
    """Return True when the reply has ended, or False if the client disconnects before.

    Raises RunsElsewhere if another gateway makes the reply.
    """
    runs = gateway.runs
    try:
        run = runs.find(stream_id, user_id)
    except NotFound:  # an old reply, or another gateway's, found by its Idempotency-Key
        await check_ended(gateway, await gateway.store.reply(user_id, stream_id))
        return True
    with runs.following(run) as follower, waiting(connection, follower) as client:
        while await follower.read() is not None:
            pass
    return not client.gone
