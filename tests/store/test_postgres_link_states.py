"""The link's connection after a loss at a bad moment, of which asyncpg tells as of a bug of its own."""

from typing import Any

import pytest
from asyncpg import InternalClientError

from gateway.contract.errors import StorageFailed
from gateway.store.postgres_link import PostgresLink


class Confused:
    """A connection in whose protocol another operation seems to run."""

    def __init__(self) -> None:
        self.terminated = False

    def is_closed(self) -> bool:
        return self.terminated

    def terminate(self) -> None:
        self.terminated = True

    async def fetch(self, *_: object) -> list[Any]:
        raise InternalClientError("cannot switch to state 12; another operation (2) is in progress")


async def test_it_counts_as_a_loss_and_the_next_statement_gets_another_connection() -> None:
    opened: list[Confused] = []

    async def connect() -> Confused:
        opened.append(Confused())
        return opened[-1]

    link = PostgresLink(connect, "PostgreSQL")
    for _ in range(2):
        with pytest.raises(StorageFailed, match="another operation"):
            await link.fetch("SELECT 1")
    assert [each.terminated for each in opened] == [True, True]
