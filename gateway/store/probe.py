"""Checks if the database accepts changes: from the latest transaction, or with a test if it is too old."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, delete

from gateway.contract.errors import StorageFailed
from gateway.store.away import reason_of
from gateway.store.statements import Statement, upsert
from gateway.store.tables import secrets as secrets_table
from gateway.store.transactions import Transaction
from gateway.store.writer import Write, Writer

FRESH_S = 1.0
WAIT_S = 1.0
PROBE_BYTES = 32 * 1024
"""Size of the test change, about that of a long question: a smaller one may still fit on a full disk."""

_NAME = "probe"
# Two gateways may test at the same time: an INSERT after a DELETE would fail.
_FILL_ROW = Statement(
    upsert(
        secrets_table,
        lambda new: new.on_conflict_do_update(
            index_elements=["name"],
            set_={"value": new.excluded.value, "created_at": new.excluded.created_at},
        ),
    ),
    ("name", "value", "created_at"),
)
_DELETE = delete(secrets_table).where(secrets_table.c.name == _NAME)


def _fill(connection: Connection, asked: Sequence[datetime]) -> list[None]:
    row = {"name": _NAME, "value": secrets.token_bytes(PROBE_BYTES), "created_at": asked[0]}
    _FILL_ROW.run(connection, [row])
    return [None] * len(asked)


def _clear(connection: Connection, asked: Sequence[None]) -> list[None]:
    connection.execute(_DELETE)
    return [None] * len(asked)


# Two transactions: data that one transaction both writes and deletes never reaches the disk.
_FILL = Write[datetime, None](_fill, rank=0, needs_caller=True)
_CLEAR = Write[None, None](_clear, rank=0)


class Probe:
    """Checks the database behind a writer. `clock` is the writer's: seconds, monotonic."""

    def __init__(self, writer: Writer, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock = clock
        self._trying = asyncio.Lock()
        self._known = Transaction(float("-inf"), None)

    async def check(self) -> None:
        """Raise StorageFailed if the database does not accept changes. Concurrent calls share one test."""
        if not self._writer.open:
            raise StorageFailed("The store is closed.")
        async with self._trying:
            latest = self._writer.latest
            if latest is not None and latest.at > self._known.at:
                self._known = latest
            if self._clock() - self._known.at > FRESH_S:
                failure = await self._try()
                self._known = Transaction(self._clock(), failure)
        if self._known.failure is not None:
            raise StorageFailed(f"The database takes no changes: {reason_of(self._known.failure)}.")

    async def _try(self) -> Exception | None:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._writer.do(_FILL, datetime.now(UTC))
                await self._writer.do(_CLEAR, None)
        except TimeoutError:
            return TimeoutError(f"it took longer than {WAIT_S:g} s")
        except StorageFailed as error:
            return error.__cause__ if isinstance(error.__cause__, Exception) else error
        return None
