"""Counts and rates as servers and workers report them, which may be anything."""

import math
from typing import Any

import pytest

from gateway.contract.events import MAX_TOKENS, Usage, usage_of

RUBBISH = [10**400, -(10**400), math.inf, -math.inf, math.nan, -1, MAX_TOKENS + 1, True, False, "9", None]


@pytest.mark.parametrize("rate", RUBBISH, ids=range(len(RUBBISH)))
def test_a_rate_that_cannot_be_is_none(rate: Any) -> None:
    assert usage_of(1, 2, 3, rate) == Usage(1, 2, 3, None)


@pytest.mark.parametrize("count", RUBBISH, ids=range(len(RUBBISH)))
def test_a_count_that_cannot_be_makes_no_usage(count: Any) -> None:
    assert usage_of(count, 2) is None
    assert usage_of(1, count) is None
    assert usage_of(1, 2, count) == Usage(1, 2, 3)


@pytest.mark.parametrize("rate", [0, 0.5, 40, MAX_TOKENS])
def test_other_rates_are_kept(rate: float) -> None:
    assert usage_of(1.0, 2, None, rate) == Usage(1, 2, 3, rate)
