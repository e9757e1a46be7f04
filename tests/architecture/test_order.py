"""The order of the tests for xdist's workers."""

import pytest

from tests.order import dealt


def test_each_slice_begins_with_its_share_of_the_slow_tests() -> None:
    slow, quick = ["a", "b", "c", "d"], ["1", "2", "3", "4", "5", "6", "7"]
    assert dealt(slow, quick, 3) == ["a", "d", "1", "b", "2", "3", "4", "c", "5", "6", "7"]


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("slow", [0, 1, 7, 40])
def test_every_test_is_there_once(slow: int, workers: int) -> None:
    order = dealt(range(slow), range(slow, 60), workers)
    assert sorted(order) == list(range(60))
