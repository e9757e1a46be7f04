"""Tests of every implementation of Rates and Places. Each test has an empty Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from gateway.contract.errors import LimitExceeded, TooManyStreams
from gateway.contract.limits import FreePlaces, Places, Quota, Rates
from gateway.core.rate_limits import RequestRates
from gateway.core.stream_places import StreamPlaces
from gateway.redis.link import RedisLink
from gateway.redis.places import ExactPlaces
from gateway.redis.rates import ExactRates
from tests.redis.server import RedisServer, redis_server, requires_redis


class Counting(NamedTuple):
    rates: Rates
    places: Places


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def by_redis(server: RedisServer, name: str) -> AsyncIterator[Counting]:
    from gateway.redis.client import RedisClient

    link = RedisLink(RedisClient(server.url), name, "sluice:{test}:")
    places = ExactPlaces(link, "replies", closed=True)
    async with link.running():
        yield Counting(ExactRates(link, None), places)


@pytest.fixture(params=["memory", pytest.param("redis", marks=[pytest.mark.live, requires_redis()])])
async def counting(request: pytest.FixtureRequest) -> AsyncIterator[Counting]:
    if request.param == "memory":
        yield Counting(RequestRates(), StreamPlaces())
        return
    server: RedisServer = request.getfixturevalue("server")
    server.cli("FLUSHALL")
    async with by_redis(server, "a") as counting:
        yield counting


async def test_a_minutes_requests_may_come_at_once_and_then_each_has_its_time(counting: Counting) -> None:
    for _ in range(3):
        await counting.rates.spend(Quota("anna", 3))
    with pytest.raises(LimitExceeded) as refused:
        await counting.rates.spend(Quota("anna", 3))
    assert refused.value.code == "rate_limited"
    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 20
    assert counting.rates.refused == {"user": 1}


async def test_accounts_are_counted_apart(counting: Counting) -> None:
    await counting.rates.spend(Quota("anna", 1))
    await counting.rates.spend(Quota("ben", 1))
    await counting.rates.spend(Quota("key 7", 2, "key"))
    with pytest.raises(LimitExceeded):
        await counting.rates.spend(Quota("ben", 1))


async def test_a_spent_request_tells_what_is_left_and_when_there_is_more(counting: Counting) -> None:
    spent = [await counting.rates.spend(Quota("anna", 3)) for _ in range(3)]
    assert [(one.limit, one.remaining) for one in spent] == [(3, 2), (3, 1), (3, 0)]
    assert spent[0].next_s == 20
    assert all(0 < one.next_s <= 20 for one in spent)


@pytest.mark.parametrize("limit", [1, 7, 120, 9_999])
async def test_exactly_the_limit_may_come_at_once(counting: Counting, limit: int) -> None:
    results = await asyncio.gather(
        *(counting.rates.spend(Quota("anna", limit)) for _ in range(limit)), return_exceptions=True
    )
    allowed = [one.remaining for one in results if not isinstance(one, BaseException)]
    assert allowed[:2] == [limit - 1, limit - 2][:limit]
    assert len(allowed) == limit


async def test_a_place_that_is_left_is_one_place(counting: Counting) -> None:
    places, quota = counting.places, Quota("anna", 3)
    first, *_ = [await places.take(quota) for _ in range(3)]
    first.leave()
    await places.take(quota)
    with pytest.raises(TooManyStreams):
        await places.take(quota)


async def test_a_place_is_free_again_when_it_is_left(counting: Counting) -> None:
    places, quota = counting.places, Quota("anna", 2)
    first, second = await places.take(quota), await places.take(quota)
    with pytest.raises(TooManyStreams) as refused:
        await places.take(quota)
    assert refused.value.code == "too_many_streams"
    assert refused.value.retry_after_s
    assert places.refused == {"user": 1}
    first.leave()
    first.leave()
    third = await places.take(quota)
    with pytest.raises(TooManyStreams):
        await places.take(quota)
    await places.take(Quota("ben", 1))
    second.leave()
    third.leave()
    await places.take(quota)


async def test_free_places_are_counted(counting: Counting) -> None:
    places, quota = counting.places, Quota("anna", 2)
    assert places.free(quota) == FreePlaces(2, 2)
    place = await places.take(quota)
    assert (places.free(quota).free, places.free(Quota("anna", 0)).free) == (1, 0)
    place.leave()
    assert places.free(quota).free == 2


async def test_a_stream_that_another_gateway_began_is_counted_beyond_the_limit(counting: Counting) -> None:
    places, quota = counting.places, Quota("anna", 1)
    place = await places.take(quota)
    taken_over = places.take_over(quota)
    place.leave()
    with pytest.raises(TooManyStreams):
        await places.take(quota)
    taken_over.leave()
    await places.take(quota)


async def test_a_burst_of_streams_gets_exactly_the_limit(counting: Counting) -> None:
    results = await asyncio.gather(
        *(counting.places.take(Quota("anna", 5)) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(one, TooManyStreams) for one in results) == 35


async def test_a_request_that_is_cancelled_while_it_takes_a_place_leaves_none_taken(
    counting: Counting,
) -> None:
    quota = Quota("anna", 1)
    taking = asyncio.ensure_future(counting.places.take(quota))
    await asyncio.sleep(0)
    taking.cancel()
    (result,) = await asyncio.gather(taking, return_exceptions=True)
    if not isinstance(result, BaseException):
        result.leave()
    await counting.places.take(quota)
