"""Allowances: requests a minute, and places for streams."""

import pytest

from gateway.contract.errors import LimitExceeded, TooManyStreams
from gateway.core.rate_limits import Quota, RequestRates, StreamPlaces


async def test_a_minutes_requests_may_come_at_once_and_then_each_has_its_time() -> None:
    rates = RequestRates()
    for _ in range(3):
        await rates.spend(Quota("anna", 3))
    with pytest.raises(LimitExceeded) as refused:
        await rates.spend(Quota("anna", 3))
    assert refused.value.code == "rate_limited"
    assert refused.value.retry_after_s is not None
    assert 10 < refused.value.retry_after_s <= 20


async def test_accounts_are_counted_apart() -> None:
    rates = RequestRates()
    await rates.spend(Quota("anna", 1))
    await rates.spend(Quota("ben", 1))
    await rates.spend(Quota("key 7", 2))
    with pytest.raises(LimitExceeded):
        await rates.spend(Quota("ben", 1))


def test_a_place_that_is_left_is_one_place() -> None:
    places = StreamPlaces()
    quota = Quota("anna", 3)
    first, *_ = [places.take(quota) for _ in range(3)]
    first.leave()
    places.take(quota)
    with pytest.raises(TooManyStreams):
        places.take(quota)


def test_a_place_is_free_again_when_it_is_left() -> None:
    places = StreamPlaces()
    quota = Quota("anna", 2)
    first, second = places.take(quota), places.take(quota)
    with pytest.raises(TooManyStreams) as refused:
        places.take(quota)
    assert refused.value.code == "too_many_streams"
    assert refused.value.retry_after_s
    first.leave()
    first.leave()
    third = places.take(quota)
    with pytest.raises(TooManyStreams):
        places.take(quota)
    places.take(Quota("ben", 1))
    second.leave()
    third.leave()
    places.take(quota)


async def test_a_spent_request_tells_what_is_left_and_when_there_is_more() -> None:
    rates = RequestRates()
    spent = [await rates.spend(Quota("anna", 3)) for _ in range(3)]
    assert [(one.limit, one.remaining) for one in spent] == [(3, 2), (3, 1), (3, 0)]
    assert spent[0].next_s == 20
    assert all(0 < one.next_s <= 20 for one in spent)


def test_free_places_are_counted() -> None:
    places = StreamPlaces()
    quota = Quota("anna", 2)
    assert places.free(quota) == 2
    place = places.take(quota)
    assert (places.free(quota), places.free(Quota("anna", 0))) == (1, 0)
    place.leave()
    assert places.free(quota) == 2
