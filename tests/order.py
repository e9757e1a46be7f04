"""Order of the tests for xdist's workers: each begins with its share of the slow tests.

`--dist worksteal` gives each worker an equal slice of the list, and a worker that has finished takes tests
from the end of another's slice. With the slow tests at the beginning of all slices, the last tests to run are
quick, and all workers end at almost the same time.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

SLOW_FOLDERS = ("tests/live/", "tests/page/", "tests/chaos/")


def slow_first(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return all tests, ordered for this number of workers."""
    slow = [item for item in items if item.nodeid.startswith(SLOW_FOLDERS)]
    quick = [item for item in items if not item.nodeid.startswith(SLOW_FOLDERS)]
    return dealt(slow, quick, workers)


def dealt(slow: Sequence[T], quick: Sequence[T], workers: int) -> list[T]:
    """Return the slices of all workers, one after the other: slow tests in turn, then quick ones.

    The slices have the sizes that xdist's WorkStealingScheduling gives them.
    """
    heads = [list(slow[number::workers]) for number in range(workers)]
    rest = list(quick)
    total = sum(map(len, heads)) + len(rest)
    order: list[T] = []
    for number, head in enumerate(heads):
        size = (total - len(order)) // (workers - number)
        taken = max(0, size - len(head))
        order += head + rest[:taken]
        del rest[:taken]
    return order
