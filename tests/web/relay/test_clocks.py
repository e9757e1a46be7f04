"""Two gateways whose machines' clocks are an hour apart: the database's clock decides."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.contract.errors import Forbidden
from gateway.store.sql_store import SqlStore
from gateway.web.door.callers import LOCAL
from gateway.web.relay.seal import RelaySeal
from tests.store.postgres import SHARED, PostgresServer, requires_postgres
from tests.web.event_source import EventSource
from tests.web.key_holders import bearer, make_key
from tests.web.raw_reader import RawClient
from tests.web.relay.pair import TEXT, Pair, pair

pytestmark = [pytest.mark.live, requires_postgres()]

HOUR_S = 3600.0


@pytest.fixture(params=[HOUR_S, -HOUR_S], ids=["ahead", "behind"])
async def both(
    no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer, request: pytest.FixtureRequest
) -> AsyncIterator[Pair]:
    """The second gateway's clock is wrong."""
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        store = both.second.assembled.gateway.store
        assert isinstance(store, SqlStore)
        membership = store.membership
        membership.clock.local = lambda: time.time() + request.param
        assert membership.gateways is not None
        await membership.gateways.renew()
        yield both


async def test_a_ticket_of_one_is_valid_at_the_other(both: Pair) -> None:
    both.go.set()
    key = await make_key(both.first, "anna")
    for asked, other in ((both.first, both.second), (both.second, both.first)):
        asked.http.headers.update(bearer(key))
        told = await asked.events({"content": "Hi", "resumable": True})
        other.http.headers.pop("authorization", None)
        response = await other.http.get(told[0]["resume_url"])
        assert (response.status_code, TEXT[:6] in response.text) == (200, True), response.text


async def test_messages_and_handles_have_the_time_of_the_database(
    both: Pair, postgres: PostgresServer
) -> None:
    async with RawClient(both.second.url) as client:
        reader = await client.ask("Hi", resumable=True)
        await reader.begin()
        for at in ("extract(epoch FROM created_at)", "(handle->'reply'->>'asked_at')::float8"):
            off = f"abs(extract(epoch FROM clock_timestamp()) - {at}) < 1800"
            assert postgres.sql(f"SELECT {off} FROM messages WHERE role = 'assistant'", SHARED) == "t"  # noqa: S608
        both.go.set()
        await reader.read()


async def test_a_reply_is_relayed_in_both_directions(both: Pair) -> None:
    for asked, other in ((both.first, both.second), (both.second, both.first)):
        async with RawClient(asked.url) as client, RawClient(other.url) as elsewhere:
            both.go.clear()
            left = await client.ask("Hi", resumable=True)
            await left.begin()
            reader = await elsewhere.come_back(left.stream_id, EventSource())
            await reader.begin()
            both.go.set()
            await reader.read()
            assert (reader.status, reader.source.text) == (200, TEXT)


def test_a_seal_is_valid_for_some_minutes() -> None:
    now = 1_000_000.0
    seal = RelaySeal(lambda: now)
    seal.set_secret(b"secret")
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "root_path": ""}
    sealed = {**scope, "headers": seal.headers(scope, LOCAL)}
    assert seal.opened(sealed).user_id == LOCAL.user_id
    now += HOUR_S
    with pytest.raises(Forbidden):
        seal.opened(sealed)
