"""One transaction: the function that runs it, and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Transaction:
    """The result of a transaction at time `at` (seconds, monotonic). `failure` is None if it was
    committed."""

    at: float
    failure: Exception | None


class Transact(Protocol):
    """Runs `work` in one transaction. It is committed when this returns, and rolled back when this raises.

    If it is cancelled, it waits for the result: it raises CancelledError after the rollback, and returns
    normally if it was too late for one.
    """

    async def __call__(self, work: Callable[[Connection], R]) -> R: ...
