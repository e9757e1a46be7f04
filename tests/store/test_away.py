"""An error of a database that is away is not taken for the error of a single change."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DatabaseError, DBAPIError

from gateway.contract.errors import StorageFailed
from gateway.store.away import is_away, reason_of
from gateway.store.engine import open_database
from tests.store.exchanges import ask
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig, SqliteRig

AWAY = ["08006", "25006", "53100", "53200", "53300", "57014", "57P01", "57P03", "58030", "XX001"]
ONE_CHANGE = ["22001", "23503", "23505", "40001", "40P01", "42P01"]


@pytest.mark.live
@requires_postgres()
@pytest.mark.parametrize("state", [*AWAY, *ONE_CHANGE])
async def test_postgresql_is_away_by_the_state_of_its_error(postgres: PostgresServer, state: str) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))

    database = open_database(PostgresRig(postgres.emptied()).url, "NORMAL")
    async with asyncio.timeout(30), database.opened():
        with pytest.raises(DBAPIError) as failed:
            await database.transact(fail)
        assert await database.transact(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    assert is_away(failed.value) == (state in AWAY)


def test_a_reason_is_never_empty() -> None:
    """asyncpg raises a TimeoutError without a text."""
    assert reason_of(TimeoutError()) == "it took too long"
    assert reason_of(ConnectionResetError()) == "ConnectionResetError"


def overwrite(file: Path, first: int) -> None:
    with file.open("r+b") as damaged:
        damaged.seek(first)
        damaged.write(b"\xaa" * 8192)


@pytest.fixture
async def rig(tmp_path: Path) -> SqliteRig:
    """A database with messages, all in its file."""
    rig = SqliteRig(tmp_path)
    async with asyncio.timeout(30), (store := rig.store()).running():
        for _ in range(20):
            await ask(store, "q" * 1000, "a")
    with closing(sqlite3.connect(rig.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rig


@pytest.mark.parametrize(
    ("first", "said"), [(0, "file is not a database"), (100, "database disk image is malformed")]
)
async def test_a_damaged_file_is_away_and_a_start_says_so(rig: SqliteRig, first: int, said: str) -> None:
    overwrite(rig.file, first)
    with create_engine(f"sqlite:///{rig.file}").connect() as connection:
        with pytest.raises(DatabaseError, match=said) as failed:
            connection.execute(text("SELECT * FROM messages")).all()
        assert is_away(failed.value)
    connection.engine.dispose()

    with pytest.raises(StorageFailed, match=f"The database could not be opened: {said}"):
        async with asyncio.timeout(30), rig.store().running():
            pass


async def test_a_file_without_rights_to_write_is_said_at_once(rig: SqliteRig) -> None:
    """Modes do not stop root, so SQLite itself is asked not to write."""
    async with asyncio.timeout(30), (store := rig.store()).running():
        await store._database.transact(
            lambda connection: connection.exec_driver_sql("PRAGMA query_only = ON").close()
        )
        with pytest.raises(StorageFailed, match="attempt to write a readonly database"):
            await store.create_session("local", "")
        assert len(await store.sessions("local")) == 20
