"""A database of numbers for the writer to write into."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from gateway.store.writer import Write

AWAY = OperationalError("UPDATE", {}, Exception("database is locked"))


R = TypeVar("R")


class Ledger:
    """A database of numbers: what is noted in a transaction is kept when it commits."""

    def __init__(self) -> None:
        self.kept: list[list[int]] = []
        self.commits = asyncio.Event()
        self.commits.set()
        self.begun = asyncio.Event()
        self._noted: list[int] = []

    async def transact(self, work: Callable[[Connection], R]) -> R:
        self._noted = []
        self.begun.set()
        done = work(cast(Connection, self))
        await self.commits.wait()
        self.kept.append(self._noted)
        return done

    def note(self, _: Connection, numbers: Sequence[int]) -> list[int]:
        self._noted += numbers
        return [2 * number for number in numbers]


def failing(on: Callable[[int], bool], error: Exception, ledger: Ledger) -> Write[int, int]:
    def apply(connection: Connection, numbers: Sequence[int]) -> list[int]:
        if any(map(on, numbers)):
            raise error
        return ledger.note(connection, numbers)

    return Write(apply, rank=0)
