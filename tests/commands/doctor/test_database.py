"""The check of the database: a file, and a real PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy

import pytest

from gateway.commands.doctor.clock import clock
from gateway.contract.keys import NewKey
from gateway.core.access import OwnerAccess
from gateway.settings import Settings
from gateway.store.schema_migration import HEAD
from gateway.store.sql_store import SqlStore
from tests.commands.doctor.clinic import database_in, doctor
from tests.store.exchanges import ask
from tests.store.faults import full_disk
from tests.store.postgres import PostgresServer, requires_postgres


async def use(url: str, work: Callable[[SqlStore], Awaitable[object]]) -> None:
    """Use the database as a gateway does."""
    async with (store := SqlStore(url, access=OwnerAccess())).running():
        await work(store)


@pytest.fixture
async def used(tmp_path: Path) -> Path:
    """A database with one exchange."""
    await use(database_in(tmp_path), lambda store: ask(store, "q", "a"))
    return tmp_path / "sluice.db"


def set_revision(file: Path, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    for ending in ("-wal", "-shm"):
        file.with_name(f"{file.name}{ending}").unlink(missing_ok=True)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_a_database_without_a_gateway_is_read_and_left_as_it_is(used: Path) -> None:
    before = content(used.parent)
    seen = await asyncio.to_thread(doctor, used.parent)
    assert content(used.parent) == before
    assert f"{used} has the newest schema, {HEAD}, and 0 API keys\n" in seen.output


def test_a_port_that_is_no_number(tmp_path: Path) -> None:
    seen = doctor(tmp_path, DATABASE_URL="postgresql+asyncpg://host:port/db")
    assert seen.problem("database")[1].startswith("not a database URL")
    assert "could not be checked" not in seen.output


async def test_a_gateway_that_uses_the_file_is_named_and_goes_on(used: Path) -> None:
    async def beside(store: SqlStore) -> None:
        seen = await asyncio.to_thread(doctor, used.parent)
        assert "; used by process " in seen.output
        assert seen.level("database") == "ok"
        await ask(store, "another", "one")

    await use(database_in(used.parent), beside)


async def test_a_schema_that_is_behind(used: Path) -> None:
    set_revision(used, "0003")
    seen = await asyncio.to_thread(doctor, used.parent)
    level, wrong, fix = seen.problem("database")
    assert (level, fix) == ("warning", f"sluice db backup {used}.0003")
    assert f"has schema 0003, and the newest is {HEAD}: the next start upgrades it" in wrong


async def test_a_schema_of_a_newer_version(used: Path) -> None:
    set_revision(used, "9999")
    seen = await asyncio.to_thread(doctor, used.parent)
    level, wrong, fix = seen.problem("database")
    assert (seen.code, level, "9999 of a newer Sluice" in wrong) == (2, "failure", True)
    assert fix.startswith("install that newer Sluice again")


async def test_a_file_that_another_program_has_locked_is_not_to_be_replaced(used: Path) -> None:
    with closing(sqlite3.connect(used, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        level, wrong, fix = (await asyncio.to_thread(doctor, used.parent)).problem("database")
    assert (level, wrong) == ("failure", "The database cannot be read: database is locked.")
    assert fix.startswith(f"sudo fuser -v {used}; end all programs but sluice")


async def test_a_file_on_a_full_disk_is_not_to_be_replaced(used: Path, tmp_path: Path) -> None:
    """After a kill there is a log, and the disk has no space for its index."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(used)) as other, other:
        other.execute("UPDATE messages SET status = status")
        for ending in ("", "-wal"):
            copy(f"{used}{ending}", killed / f"sluice.db{ending}")
    with full_disk(killed / "sluice.db"):
        level, wrong, fix = (await asyncio.to_thread(doctor, killed)).problem("database")
    assert (level, wrong.startswith("The database cannot be read: ")) == ("failure", True)
    assert fix.startswith(f"df -h {killed}; ")


@pytest.mark.parametrize("where", [0, 8192], ids=["no database", "damaged"])
async def test_a_damaged_file(used: Path, where: int) -> None:
    with used.open("r+b") as file:
        file.seek(where)
        file.write(b"rubbish " * 2048)
    seen = await asyncio.to_thread(doctor, used.parent)
    level, wrong, fix = seen.problem("database")
    assert (seen.code, level, "damaged" in wrong) == (2, "failure", True)
    assert "copy a backup" in fix


async def test_an_address_for_other_machines_without_a_key(used: Path) -> None:
    seen = await asyncio.to_thread(doctor, used.parent, HOST="0.0.0.0")
    level, wrong, fix = seen.problem("database")
    assert (level, fix) == ("failure", "sluice keys create --user NAME")
    assert "HOST=0.0.0.0 admits other machines" in wrong


async def test_a_key_that_expires_soon(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    async def make_keys(store: SqlStore) -> None:
        for digest, days in (("a", -1), ("b", 60), ("c", 3)):
            key = NewKey(digest * 64, f"sk-{digest}", "anna", expires_at=now + timedelta(days=days))
            await store.keys.create(key)

    await use(database_in(tmp_path), make_keys)
    seen = await asyncio.to_thread(doctor, tmp_path)
    assert f"key 3 of anna expires at {now + timedelta(days=3):%Y-%m-%d %H:%M} UTC" in seen.output
    assert "sluice keys set 3 --expires 90d" in seen.output
    assert "key 1" not in seen.output
    assert "key 2" not in seen.output


async def test_a_clock_that_is_behind_the_messages(used: Path) -> None:
    settings = Settings(_env_file=None, database_url=database_in(used.parent))
    behind = datetime.now(UTC) - timedelta(hours=1)
    (found,) = await clock(settings, lambda: behind, lambda: True)
    assert (found.level, "and the newest message is from" in found.detail) == ("failure", True)


@pytest.mark.live
@requires_postgres()
def test_postgresql_away_without_a_schema_and_well(postgres: PostgresServer, tmp_path: Path) -> None:
    away = doctor(tmp_path, DATABASE_URL="postgresql+asyncpg://anna:secret-word@127.0.0.1:9/sluice")
    level, wrong, fix = away.problem("database")
    assert (away.code, level, "PostgreSQL at 127.0.0.1:9, database sluice" in wrong) == (2, "failure", True)
    assert fix.startswith("psql -h 127.0.0.1 -p 9 -U anna sluice, and correct DATABASE_URL")

    url = postgres.database()
    level, wrong, fix = doctor(tmp_path, DATABASE_URL=url).problem("database")
    assert (level, fix) == ("failure", "sluice db upgrade")
    assert wrong.endswith(f"has schema none, and the newest is {HEAD}: no gateway can start")

    well = doctor(tmp_path, DATABASE_URL=postgres.emptied())
    assert well.level("database") == "ok"


@pytest.mark.live
@requires_postgres()
async def test_postgresql_used_by_a_gateway(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.emptied()

    async def beside(_: SqlStore) -> None:
        for name in ("east", "west"):
            other = SqlStore(url, access=OwnerAccess(), owner=f"{name}/{'0' * 16}")
            assert other.membership.gateways is not None
            await other.membership.gateways.renew()
            await other.membership.close()
        seen = await asyncio.to_thread(doctor, tmp_path, DATABASE_URL=url)
        assert "; used by east, west" in seen.output
        settings = Settings(_env_file=None, database_url=url)
        (found,) = await clock(settings, lambda: datetime.now(UTC) + timedelta(hours=1), lambda: True)
        assert (found.level, "and the database's server" in found.detail) == ("failure", True)

    await use(url, beside)
