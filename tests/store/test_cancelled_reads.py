"""Reads of a SQLite file whose callers are cancelled, as requests are that are left at the gateway's end."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from gateway.store.engine import Database, open_database
from gateway.store.sqlite_file import SqliteFile
from tests.store.rigs import SqliteRig


class HeldRead:
    """A read that goes on until `may_end` is set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begun, self.may_end = threading.Event(), threading.Event()

    async def run(self) -> None:
        async with self._database.reader() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.create_function("held", 0, self._held)
            await connection.execute(text("SELECT held()"))

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait, 30)

    def _held(self) -> int:
        self._begun.set()
        self.may_end.wait(30)
        return 1


@pytest.mark.parametrize("times", [1, 2])
async def test_a_cancelled_read_leaves_no_task_that_never_ends(tmp_path: Path, times: int) -> None:
    before = asyncio.all_tasks()
    database = open_database(SqliteRig(tmp_path).url, "NORMAL")
    async with asyncio.timeout(30):
        async with database.opened():
            read = HeldRead(database)
            reading = asyncio.create_task(read.run())
            await read.begun()
            for _ in range(times):
                reading.cancel()
                for _ in range(10):
                    await asyncio.sleep(0)
            read.may_end.set()
            await asyncio.wait([reading])
            assert reading.cancelled()
            async with database.reader() as connection:
                assert (await connection.execute(text("SELECT 1"))).scalar() == 1
        left = asyncio.all_tasks() - before
        for task in left:  # as asyncio.run does
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    assert left == set()


@pytest.mark.parametrize("moment", range(1, 8))
async def test_a_connection_is_kept_whose_reader_was_cancelled_while_it_was_opened(
    tmp_path: Path, moment: int
) -> None:
    database = SqliteFile(make_url(SqliteRig(tmp_path).url), "NORMAL")
    pool: Any = database.reading.pool

    async def read() -> None:
        async with database.reader() as connection:
            await connection.execute(text("SELECT 1"))

    async with asyncio.timeout(30), database.opened():
        reading = asyncio.create_task(read())
        for _ in range(moment):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        await database._reads.finish()
        assert pool.checkedin() == 1
