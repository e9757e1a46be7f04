"""Two gateways in one process, on one PostgreSQL, with one scripted model each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done
from gateway.core import liveness
from gateway.store.sql_store import SqlStore
from tests.live.looking import look_again
from tests.store.postgres import SHARED, PostgresServer
from tests.web.gateway_server import STREAM, Served, served
from tests.web.raw_reader import RawClient, RawReader
from transports.scripted import Step

DAY_S = 86_400
BEFORE, BEHIND = "before ", "and behind"
TEXT = BEFORE + BEHIND


@dataclass
class Pair:
    """Each model stops after BEFORE until `go` is set."""

    first: Served
    second: Served
    go: asyncio.Event
    postgres: PostgresServer

    async def begun(self, **more: Any) -> RawReader:
        """Ask the first gateway for a resumable reply, read until its first text, and disconnect.

        The text is stored then: the gateway looks at the reply's owner, which `owner_is` changes, when it
        stores more.
        """
        async with RawClient(self.first.url) as client:
            reader = await client.ask("Hi", resumable=True, **more)
            await reader.begin()
        await self.first.assembled.gateway.conversations._launch._checkpoints.keep_all()
        return reader

    @asynccontextmanager
    async def coming_back(self, left: RawReader) -> AsyncIterator[RawReader]:
        """The same reader, back at the second gateway."""
        async with RawClient(self.second.url) as client:
            yield await client.come_back(left.stream_id, left.source)

    async def relaying(self) -> None:
        """Wait until the second gateway relays a request."""
        relay = self.second.assembled.gateway.relay
        assert relay is not None
        while relay.client.open == 0:
            await look_again()

    async def relays_nothing(self) -> None:
        """Wait until the second gateway relays no request."""
        relay = self.second.assembled.gateway.relay
        assert relay is not None
        while relay.client.open:
            await look_again()

    def owner_is(self, stream_id: str, name: str, url: str | None, epoch: int = 0) -> None:
        """Write into the database that another gateway, which is never silent, makes the reply."""
        shown = "NULL" if url is None else f"'{url}'"
        row = f"('{name}', {shown}, now(), now() + interval '1 day')"
        known = f"INSERT INTO gateways VALUES {row} ON CONFLICT DO NOTHING"  # noqa: S608 - of this test
        change = f"SET owner = '{name}', epoch = {epoch}"
        owned = f"UPDATE messages {change} WHERE stream_id = '{stream_id}'"
        self.postgres.sql(f"{known}; {owned}", SHARED)


@asynccontextmanager
async def pair(tmp_path: Path, postgres: PostgresServer, **second: Any) -> AsyncIterator[Pair]:
    """second: settings of the second gateway only. No gateway counts as dead, however long the test takes."""
    go = asyncio.Event()

    def steps(_: object) -> Sequence[Step]:
        return [[Delta(BEFORE)], go.wait, [Delta(BEHIND)], [Done("stop")]]

    url = postgres.emptied()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(liveness, "DEAD_S", 2 * DAY_S)  # later than the time that `owner_is` writes
        async with (
            served(tmp_path, steps, database_url=url, gateway_name="first") as one,
            served(tmp_path, steps, database_url=url, gateway_name="second", **second) as two,
        ):
            try:
                yield Pair(one, two, go, postgres)
            finally:
                go.set()


def path_of(reader: RawReader) -> str:
    return f"{STREAM}/{reader.stream_id}"


def owner_of(gateway: Served) -> str:
    store = gateway.assembled.gateway.store
    assert isinstance(store, SqlStore)
    return store.reply_owners.owner
