"""The order of the tests for xdist's workers."""

import pytest

from tests.order import dealt


def test_each_slice_begins_with_its_share_of_the_slow_tests() -> None:
    waiting, busy, quick = ["a", "b", "c"], ["A", "B"], ["1", "2", "3", "4", "5", "6"]
    assert dealt(waiting, busy, quick, 3) == ["a", "c", "1", "A", "B", "2", "3", "b", "4", "5", "6"]


def test_a_single_worker_begins_with_all_slow_tests() -> None:
    assert dealt(["a"], ["A"], ["1"], 1) == ["a", "A", "1"]


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("slow", [0, 1, 7, 40])
def test_every_test_is_there_once(slow: int, workers: int) -> None:
    order = dealt(range(slow), range(slow, slow + 10), range(slow + 10, 60), workers)
    assert sorted(order) == list(range(60))
