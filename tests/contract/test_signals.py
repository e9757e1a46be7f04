"""Tests of every implementation of Signals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.contract.signals import MAX_SIGNAL_BYTES, Body, Signals
from gateway.store.engine import open_database
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.store.postgres import PostgresServer, requires_postgres

NewSignals = Callable[[str], AbstractAsyncContextManager[Signals]]


class Heard:
    """Hears signals."""

    def __init__(self) -> None:
        self._bodies: asyncio.Queue[Body] = asyncio.Queue()

    def __call__(self, body: Body) -> None:
        self._bodies.put_nowait(body)

    async def next(self) -> Body:
        async with asyncio.timeout(60):
            return await self._bodies.get()


@asynccontextmanager
async def local(hub: LocalHub, name: str) -> AsyncIterator[Signals]:
    async with (signals := LocalSignals(name, hub)).running():
        yield signals


@asynccontextmanager
async def by_postgres(url: str, name: str) -> AsyncIterator[Signals]:
    membership = open_database(url, "NORMAL").membership(name, None)
    try:
        async with membership.signals.running():
            assert membership.gateways is not None
            await membership.gateways.dead(3)  # it listens now
            yield membership.signals
    finally:
        await membership.close()


@pytest.fixture(
    params=["memory", pytest.param("postgres", marks=[pytest.mark.live, requires_postgres()])],
)
def new_signals(request: pytest.FixtureRequest) -> NewSignals:
    if request.param == "memory":
        hub = LocalHub()
        return lambda name: local(hub, name)
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.emptied()
    return lambda name: by_postgres(url, name)


@pytest.fixture
async def pair(new_signals: NewSignals) -> AsyncIterator[tuple[Signals, Signals]]:
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(new_signals("one")),
            await stack.enter_async_context(new_signals("two")),
        )


async def test_the_others_hear_a_signal_in_order_and_the_sender_does_not(
    pair: tuple[Signals, Signals],
) -> None:
    one, two = pair
    ones, twos = Heard(), Heard()
    one.on("topic", ones)
    two.on("topic", twos)

    for number in range(50):
        one.send("topic", {"number": number})
    assert [await twos.next() for _ in range(50)] == [{"number": number} for number in range(50)]
    two.send("topic", {"number": -1})

    assert await ones.next() == {"number": -1}  # its own were not heard before


async def test_each_hearer_of_a_topic_hears_it_and_no_other(pair: tuple[Signals, Signals]) -> None:
    one, two = pair
    first, second, other = Heard(), Heard(), Heard()
    two.on("topic", first)
    two.on("topic", second)
    two.on("other", other)

    one.send("topic", {})
    one.send("other", {"last": True})

    assert await first.next() == await second.next() == {}
    assert await other.next() == {"last": True}


@pytest.mark.parametrize(
    "value", ["Grüße 日本語 👋", 'it\'s "quoted" \\ \n\0 \ud800', [1, 2.5, None, True], {"a": {"b": []}}]
)
async def test_every_json_value_arrives_as_it_is(pair: tuple[Signals, Signals], value: Any) -> None:
    one, two = pair
    two.on("topic", heard := Heard())

    one.send("topic", {"value": value})

    assert await heard.next() == {"value": value}


async def test_a_signal_of_the_maximum_size_arrives_and_a_larger_one_is_refused(
    pair: tuple[Signals, Signals],
) -> None:
    one, two = pair
    two.on("topic", heard := Heard())
    frame = len('{"from": "one", "topic": "topic", "body": {"text": ""}}')
    longest = "x" * (MAX_SIGNAL_BYTES - frame)

    one.send("topic", {"text": longest})
    with pytest.raises(ValueError, match="7901 bytes"):
        one.send("topic", {"text": longest + "x"})
    with pytest.raises(ValueError, match="the maximum is"):
        one.send("topic", {"text": "ä" * 2000})

    assert await heard.next() == {"text": longest}


async def test_who_has_left_hears_nothing_and_disturbs_nobody(new_signals: NewSignals) -> None:
    async with asyncio.timeout(120), new_signals("one") as one, new_signals("three") as three:
        three.on("topic", heard := Heard())
        async with new_signals("two") as two:
            two.on("topic", gone := Heard())
        one.send("topic", {})

        assert await heard.next() == {}
        assert gone._bodies.empty()


async def test_a_signal_without_hearers_is_dropped(pair: tuple[Signals, Signals]) -> None:
    one, two = pair
    two.on("topic", heard := Heard())

    one.send("nobody's", {})
    one.send("topic", {"after": "it"})

    assert await heard.next() == {"after": "it"}
