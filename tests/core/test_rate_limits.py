"""Limits in memory: each of several gateways allows its share. contract/test_limits.py has the rest."""

import pytest

from gateway.contract.errors import TooManyStreams
from gateway.contract.limits import FreePlaces, Quota, RateExceeded
from gateway.core.rate_limits import RequestRates
from gateway.core.stream_places import StreamPlaces


async def test_each_of_several_gateways_allows_its_share() -> None:
    rates, places, quota = RequestRates(), StreamPlaces(), Quota("anna", 4, gateways=3)
    for _ in range(2):
        await rates.spend(quota)
        await places.take(quota)
    with pytest.raises(RateExceeded) as refused:
        await rates.spend(quota)
    assert refused.value.limit == 2
    with pytest.raises(TooManyStreams):
        await places.take(quota)
    assert places.free(quota) == FreePlaces(2, 0)
