"""The issuer's keys are read once for all who wait, again when they are old, and kept while it is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from joserfc.jwk import Key

from gateway.contract.identities import IssuerUnavailable
from gateway.issuer.discovery import DiscoveryFailed, Published
from gateway.issuer.key_cache import PAUSE_S, KeyCache
from gateway.issuer.signing_keys import SigningKeys
from tests.issuer.issuer_server import EC, RSA


@dataclass
class Alarm:
    """A timer that the test fires."""

    delay_s: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class House:
    """A cache whose issuer publishes `keys`; None: it is away. A read waits for `open`, and sets `reading` at
    its begin and `read` at its end."""

    keys: Sequence[Key] | None = (RSA,)
    now: float = 1000.0
    reads: int = 0
    alarms: list[Alarm] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()
        self.cache = KeyCache(self._read, lambda: self.now, self._later)

    async def _read(self) -> Published:
        self.reads += 1
        self.reading.set()
        await self.open.wait()
        if self.keys is None:
            raise DiscoveryFailed("it is away")
        return Published(SigningKeys([key.as_dict(private=False) for key in self.keys]), 600)

    def _later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(delay_s, call))
        self.read.set()
        return self.alarms[-1]

    async def fire(self) -> None:
        """Let the time of the last timer come, and the read that it begins end."""
        self.now += self.alarms[-1].delay_s
        self.read.clear()
        self.alarms[-1].call()
        async with asyncio.timeout(30):
            await self.read.wait()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    running = asyncio.create_task(house.cache.run())
    yield house
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert all(alarm.cancelled for alarm in house.alarms[-1:]), "no timer is left over"


async def test_all_who_wait_share_one_read(house: House) -> None:
    house.open.clear()
    waiting = [asyncio.create_task(house.cache.renew()) for _ in range(20)]
    await house.reading.wait()
    house.open.set()
    keys = await asyncio.gather(*waiting)
    assert (house.reads, {len(each) for each in keys}) == (1, {1})


async def test_a_request_that_is_cancelled_does_not_end_the_read(house: House) -> None:
    house.open.clear()
    first, second = (asyncio.create_task(house.cache.renew()) for _ in range(2))
    await house.reading.wait()
    first.cancel()
    house.open.set()
    assert len(await second) == 1
    assert house.reads == 1


async def test_unknown_keys_cause_one_read_in_ten_seconds(house: House) -> None:
    for _ in range(5):
        await house.cache.renew()
    house.now += PAUSE_S - 0.1
    await house.cache.renew()
    assert house.reads == 1
    house.now += 0.2
    await house.cache.renew()
    assert house.reads == 2


async def test_old_keys_are_read_again_in_the_background(house: House) -> None:
    first = await house.cache.renew()
    assert [alarm.delay_s for alarm in house.alarms] == [600]
    house.keys = [RSA, EC]
    await house.fire()
    assert (house.reads, len(house.cache.keys or [])) == (2, 2)
    await house.fire()
    assert house.cache.keys is not first


async def test_equal_keys_are_the_same_object_so_that_verified_tokens_stay_remembered(house: House) -> None:
    first = await house.cache.renew()
    await house.fire()
    assert (house.reads, house.cache.keys is first) == (2, True)


async def test_known_keys_stay_in_use_while_the_issuer_is_away(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sluice.issuer")
    first = await house.cache.renew()
    house.keys = None
    for _ in range(3):
        await house.fire()
        assert await house.cache.renew() is first
    assert house.alarms[-1].delay_s == PAUSE_S
    house.keys = [RSA]
    await house.fire()
    assert [record.getMessage() for record in caplog.records] == [
        "the issuer has 1 keys for signatures",
        "the issuer's keys cannot be read: it is away; the keys read before stay in use",
        "the issuer's keys can be read again",
    ]


async def test_without_keys_each_request_is_refused_and_the_issuer_is_left_alone(house: House) -> None:
    house.keys = None
    for _ in range(3):
        with pytest.raises(IssuerUnavailable) as refused:
            await house.cache.renew()
        assert refused.value.retry_after_s == PAUSE_S
    assert house.reads == 1
    house.now += 4
    with pytest.raises(IssuerUnavailable) as refused:
        await house.cache.renew()
    assert refused.value.retry_after_s == PAUSE_S - 4
    house.keys = [RSA]
    await house.fire()
    assert len(await house.cache.renew()) == 1


async def test_an_unexpected_error_does_not_end_the_reading(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> SigningKeys:
        raise ZeroDivisionError

    house.keys = [broken]  # type: ignore[list-item]
    with pytest.raises(IssuerUnavailable):
        await house.cache.renew()
    house.keys = [RSA]
    await house.fire()
    assert len(await house.cache.renew()) == 1
    assert "unexpected error" in caplog.text
