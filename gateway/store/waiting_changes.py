"""The changes that wait for a transaction, and the choice of those that get the next one."""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

MAX_GROUP = 32
"""Changes in one transaction."""

MAX_URGENT = 16
"""Urgent changes in one transaction: of a crowd, the first are answered while the next ones are written, and
others never wait for all of them."""

T = TypeVar("T")


class WaitingChanges(Generic[T]):
    """Changes in the order of their arrival, urgent ones before others.

    Two changes of one caller are never exchanged: it waits for the first one before it makes the second.
    """

    def __init__(self) -> None:
        self._urgent: deque[T] = deque()
        self._others: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def __iter__(self) -> Iterator[T]:
        return chain(self._urgent, self._others)

    def add(self, change: T, *, urgent: bool) -> None:
        (self._urgent if urgent else self._others).append(change)

    def next_group(self) -> list[T]:
        """Remove and return the changes of the next transaction."""
        group = _taken(self._urgent, MAX_URGENT)
        return group + _taken(self._others, MAX_GROUP - len(group))

    def clear(self) -> None:
        self._urgent.clear()
        self._others.clear()


def _taken(waiting: deque[T], most: int) -> list[T]:
    return [waiting.popleft() for _ in range(min(len(waiting), most))]
