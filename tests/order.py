"""Order of the tests for xdist's workers: two thirds begin with tests that wait, the others with busy ones.

`--dist worksteal` gives each worker an equal slice of the list, and a worker that has finished takes tests
from the end of another's slice. Live tests mostly wait for servers, tests of the page keep a browser busy:
side by side they use the whole machine. All slices end with quick tests, so all workers end at almost the
same time.

The tests of chaos are the last ones that wait: while they change the machine's network addresses, no browser
may run (tests/live/addresses.py).
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

WAITING_FOLDERS = ("tests/live/", "tests/chaos/")
"""In this order."""

BUSY_FOLDERS = ("tests/page/", "tests/web/description/")
"""A process that runs tests of these starts a browser, or gateways whose description it reads: 5 s of CPU,
which the others save."""


def slow_first(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return all tests, ordered for this number of workers."""
    waiting = [item for folder in WAITING_FOLDERS for item in items if item.nodeid.startswith(folder)]
    busy = [item for item in items if item.nodeid.startswith(BUSY_FOLDERS)]
    quick = [item for item in items if not item.nodeid.startswith(WAITING_FOLDERS + BUSY_FOLDERS)]
    return dealt(waiting, busy, quick, workers)


def dealt(waiting: Sequence[T], busy: Sequence[T], quick: Sequence[T], workers: int) -> list[T]:
    """Return the slices of all workers, one after the other: every third one begins with busy tests, the
    others with waiting ones, and quick tests fill them.

    The slices have the sizes that xdist's WorkStealingScheduling gives them.
    """
    heads: list[list[T]] = [[] for _ in range(workers)]
    for_busy = heads[1::3] or heads
    for_waiting = [head for number, head in enumerate(heads) if number % 3 != 1]
    for tests, takers in ((waiting, for_waiting), (busy, for_busy)):
        for number, taker in enumerate(takers):
            taker += tests[number :: len(takers)]
    rest = list(quick)
    total = sum(map(len, heads)) + len(rest)
    order: list[T] = []
    for number, head in enumerate(heads):
        size = (total - len(order)) // (workers - number)
        taken = max(0, size - len(head))
        order += head + rest[:taken]
        del rest[:taken]
    return order
