"""The link to Redis with a client of the test's own: groups, losses, and numbers that are stored again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.contract.errors import TooManyStreams, Unavailable
from gateway.contract.limits import Quota
from gateway.core.rate_limits import RequestRates
from gateway.redis.link import Command, RedisAway, RedisLink, Settle
from gateway.redis.places import STORE_EVERY_S, ExactPlaces
from gateway.redis.rates import ExactRates
from gateway.redis.scripts import PUT, RENEW, TAKE

ANNA = Quota("anna", 2)


class HandClient:
    """Answers each group when the test says so. All streams are allowed."""

    def __init__(self) -> None:
        self.groups: asyncio.Queue[Sequence[Command]] = asyncio.Queue()
        self._answers: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.closed = False

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        self.groups.put_nowait(commands)
        failure = await self._answers.get()
        if failure is not None:
            raise failure
        return [1 if command[1] == RENEW else [1, 1] for command in commands]

    async def close(self) -> None:
        self.closed = True

    def answer(self, failure: Exception | None = None) -> None:
        self._answers.put_nowait(failure)

    async def sent(self) -> list[tuple[Any, ...]]:
        """Return the next group: each command's script and its arguments."""
        async with asyncio.timeout(60):
            return [command[1:] for command in await self.groups.get()]


def put_in(sent: Sequence[tuple[Any, ...]]) -> dict[str, int]:
    """Return the numbers of streams that these commands store, by key."""
    assert {script for script, *_ in sent} == {PUT}
    return {key: number for _, _, key, _, number, _ in sent}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client() -> HandClient:
    return HandClient()


@pytest.fixture(autouse=True)
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.redis.link.EVERY_S", 3600.0)


@asynccontextmanager
async def linked(
    client: HandClient, clock: Clock, *, closed: bool = False
) -> AsyncIterator[tuple[RedisLink, ExactPlaces]]:
    link = RedisLink(client, "a", "p:", clock)
    places = ExactPlaces(link, "replies", closed=closed, clock=clock)
    client.answer()
    async with link.running():
        assert [script for script, *_ in await client.sent()] == [RENEW]
        yield link, places
        client.answer()  # the lease is given back
    assert client.closed


async def test_commands_that_come_meanwhile_form_the_next_group_in_their_order(
    client: HandClient, clock: Clock
) -> None:
    async with linked(client, clock) as (link, _):
        first = asyncio.ensure_future(link.call(("EVAL", "one")))
        assert await client.sent() == [("one",)]
        others = [asyncio.ensure_future(link.call(("EVAL", name))) for name in ("two", "three")]
        await asyncio.sleep(0)
        client.answer()
        assert await client.sent() == [("two",), ("three",)]
        client.answer()
        assert await asyncio.gather(first, *others) == [[1, 1]] * 3


async def test_a_lost_redis_fails_all_waiting_calls_and_later_ones_at_once(
    client: HandClient, clock: Clock
) -> None:
    async with linked(client, clock) as (link, _):
        calls = [asyncio.ensure_future(link.call(("EVAL", "one")))]
        await client.sent()
        calls.append(asyncio.ensure_future(link.call(("EVAL", "two"))))
        await asyncio.sleep(0)
        client.answer(RedisAway("gone"))
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [str(each) for each in told] == ["gone", "gone"]
        with pytest.raises(RedisAway):
            await link.call(("EVAL", "three"))


async def test_a_redis_that_does_not_answer_is_away_after_a_bounded_time(
    client: HandClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(client, clock) as (link, _):
        monkeypatch.setattr("gateway.redis.link.TIMEOUT_S", 0.01)
        with pytest.raises(RedisAway, match="does not answer within"):
            await link.call(("EVAL", "one"))


async def test_all_numbers_are_stored_when_redis_is_back(client: HandClient, clock: Clock) -> None:
    async with linked(client, clock) as (_, places):
        client.answer()
        await places.take(ANNA)
        await client.sent()
        ben = places.take_over(Quota("ben", 2))
        client.answer()
        assert put_in(await client.sent()) == {"p:replies:ben": 1}
        ben.leave()
        assert put_in(await client.sent()) == {"p:replies:ben": 0}
        clock.now = 3600  # time for the next renewal
        client.answer(RedisAway("gone"))
        sent = await client.sent()
        client.answer()
        assert sent[0][0] == RENEW
        assert put_in(sent[1:]) == {"p:replies:anna": 1, "p:replies:ben": 0}


async def test_without_redis_each_gateway_allows_its_share(client: HandClient, clock: Clock) -> None:
    async with linked(client, clock) as (link, places):
        rates = ExactRates(link, RequestRates())
        link.away = True
        quota = Quota("anna", 4, gateways=2)
        for _ in range(2):
            await rates.spend(quota)
            await places.take(quota)
        with pytest.raises(TooManyStreams):
            await places.take(quota)
        assert places.free(quota).limit == 2
        link.away = False
        assert places.free(quota).limit == 4


async def test_a_closed_gateway_refuses_what_it_cannot_count(client: HandClient, clock: Clock) -> None:
    async with linked(client, clock, closed=True) as (link, places):
        link.away = True
        with pytest.raises(Unavailable) as refused:
            await places.take(ANNA)
        with pytest.raises(Unavailable):
            await ExactRates(link, None).spend(ANNA)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 2)


async def test_a_stream_whose_request_was_cancelled_is_not_counted(client: HandClient, clock: Clock) -> None:
    async with linked(client, clock) as (_, places):
        taking = asyncio.ensure_future(places.take(ANNA))
        assert [script for script, *_ in await client.sent()] == [TAKE]
        taking.cancel()
        await asyncio.sleep(0)
        client.answer()
        assert put_in(await client.sent()) == {"p:replies:anna": 0}
        assert places.free(ANNA).free == 2


async def test_all_numbers_are_stored_again_before_redis_forgets_them(
    client: HandClient, clock: Clock
) -> None:
    async with linked(client, clock) as (link, places):
        client.answer()
        await places.take(ANNA)
        await client.sent()
        clock.now = STORE_EVERY_S
        link.wake()
        client.answer()
        assert put_in(await client.sent()) == {"p:replies:anna": 1}


async def test_a_stream_that_a_lost_redis_may_have_counted_is_corrected(
    client: HandClient, clock: Clock
) -> None:
    async with linked(client, clock, closed=True) as (_, places):
        taking = asyncio.ensure_future(places.take(ANNA))
        await client.sent()
        clock.now = 3600  # time for the next renewal
        client.answer(RedisAway("gone"))
        with pytest.raises(Unavailable):
            await taking
        sent = await client.sent()
        client.answer()
        assert put_in(sent[1:]) == {"p:replies:anna": 0}


async def test_a_request_that_is_cancelled_as_its_reply_comes_has_no_place(
    client: HandClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(client, clock) as (link, places):
        call = link.call

        async def cancelled_call(command: Command, settle: Settle) -> Any:
            def settle_and_cancel(reply: Any) -> None:
                settle(reply)
                taking.cancel()

            return await call(command, settle_and_cancel)

        monkeypatch.setattr(link, "call", cancelled_call)
        client.answer()
        taking = asyncio.ensure_future(places.take(ANNA))
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert places.free(ANNA).free == 2


async def test_a_call_that_was_cancelled_before_its_group_is_not_sent(
    client: HandClient, clock: Clock
) -> None:
    async with linked(client, clock) as (link, _):
        calls = [asyncio.ensure_future(link.call(("EVAL", "one")))]
        await client.sent()
        calls += [asyncio.ensure_future(link.call(("EVAL", name))) for name in ("two", "three")]
        await asyncio.sleep(0)
        calls[1].cancel()
        client.answer()
        client.answer()
        assert await client.sent() == [("three",)]
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_loss_is_logged_once(
    client: HandClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked(client, clock) as (link, _):
        calling = asyncio.ensure_future(link.call(("EVAL", "one")))
        for _ in range(3):
            await client.sent()
            clock.now += 3600  # time for the next renewal
            client.answer(RedisAway("gone"))
        await client.sent()
        await asyncio.gather(calling, return_exceptions=True)
    assert [record.message for record in caplog.records] == ["Redis is away, limits are not exact: gone"]


async def test_a_fault_of_the_library_ends_nothing_but_exactness(client: HandClient, clock: Clock) -> None:
    async with linked(client, clock) as (link, _):
        call = asyncio.ensure_future(link.call(("EVAL", "one")))
        await client.sent()
        client.answer(KeyError("a bug"))
        with pytest.raises(RedisAway, match="KeyError"):
            await call
