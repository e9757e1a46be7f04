"""Streams of several gateways in a real Redis: leases that expire, and a Redis that was emptied."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.contract.errors import TooManyStreams
from gateway.contract.limits import Quota, RateExceeded
from gateway.redis.client import RedisClient
from gateway.redis.link import Command, RedisLink
from gateway.redis.places import ExactPlaces
from gateway.redis.rates import ExactRates
from gateway.redis.scripts import PUT
from tests.redis.server import RedisServer, redis_server, requires_redis

pytestmark = [pytest.mark.live, requires_redis()]

ANNA = Quota("anna", 2, gateways=2)


class WatchedClient(RedisClient):
    """stored: set when numbers of streams were stored."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.stored = asyncio.Event()

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        replies = await super().execute(commands)
        if any(PUT in command for command in commands):
            self.stored.set()
        return replies


class Gateway:
    def __init__(self, server: RedisServer, name: str) -> None:
        self.now = 0.0
        self.client = WatchedClient(server.url)
        self.link = RedisLink(self.client, name, "sluice:{test}:", lambda: self.now)
        self.places = ExactPlaces(self.link, "replies", closed=True)

    async def renewal(self) -> None:
        """Return when this gateway has renewed its lease and stored its numbers again."""
        self.client.stored.clear()
        self.now += 10
        self.link.wake()
        async with asyncio.timeout(60):
            await self.client.stored.wait()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def two(server: RedisServer) -> AsyncIterator[tuple[Gateway, Gateway]]:
    a, b = Gateway(server, "a"), Gateway(server, "b")
    async with a.link.running(), b.link.running():
        yield a, b


async def test_streams_of_a_gateway_without_a_lease_do_not_count_until_it_is_back(
    server: RedisServer,
) -> None:
    async with two(server) as (a, b):
        for _ in range(2):
            await a.places.take(ANNA)
        with pytest.raises(TooManyStreams):
            await b.places.take(ANNA)
        server.cli("ZADD", a.link.leases, "1", "a")  # as if it had not renewed it for LEASE_S
        place = await b.places.take(ANNA)
        place.leave()
        await a.renewal()
        with pytest.raises(TooManyStreams):
            await b.places.take(ANNA)


async def test_an_emptied_redis_gets_all_numbers_again(server: RedisServer) -> None:
    async with two(server) as (a, b):
        await a.places.take(ANNA)
        await b.places.take(ANNA)
        server.cli("FLUSHALL")
        await a.renewal()
        await b.renewal()
        for gateway in (a, b):
            with pytest.raises(TooManyStreams):
                await gateway.places.take(ANNA)


async def test_a_gateway_that_stops_takes_its_lease_and_streams_with_it(server: RedisServer) -> None:
    b = Gateway(server, "b")
    async with b.link.running():
        a = Gateway(server, "a")
        async with a.link.running():
            for _ in range(2):
                await a.places.take(ANNA)
        await b.places.take(ANNA)


async def test_clusters_on_one_redis_are_counted_apart(server: RedisServer) -> None:
    async with two(server) as (a, _):
        other = Gateway(server, "a")
        other.link.prefix = "sluice:{other}:"
        async with other.link.running():
            for gateway in (a, other):
                for _ in range(2):
                    await gateway.places.take(ANNA)


async def test_a_gateway_counts_its_own_streams_without_a_lease_too(server: RedisServer) -> None:
    async with two(server) as (a, _):
        for _ in range(2):
            await a.places.take(ANNA)
        server.cli("ZADD", a.link.leases, "1", "a")
        with pytest.raises(TooManyStreams):
            await a.places.take(ANNA)


async def test_a_clock_that_was_set_back_makes_nobody_wait_for_more_than_a_minute(
    server: RedisServer,
) -> None:
    async with two(server) as (a, _):
        rates = ExactRates(a.link, None)
        server.cli("SET", "sluice:{test}:requests:anna", "9000000000000000")
        with pytest.raises(RateExceeded) as refused:
            await rates.spend(ANNA)
        assert refused.value.retry_after_s == 30
