"""`sluice db`, as an operator types it."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.core.access import OwnerAccess
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import ask, question
from tests.store.postgres import PostgresServer, requires_postgres

Sluice = Callable[..., Result]


def sluice_on(database_url: str) -> Sluice:
    runner = CliRunner(env={"DATABASE_URL": database_url})
    return lambda *arguments: runner.invoke(app, arguments)


def in_database(url: str, work: Callable[[SqlStore], Awaitable[object]]) -> None:
    """Use the database as a gateway does that runs meanwhile or before."""

    async def use() -> None:
        async with asyncio.timeout(60), (store := SqlStore(url, access=OwnerAccess())).running():
            await work(store)

    asyncio.run(use())


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'sluice.db'}"


@pytest.fixture
def sluice(url: str) -> Sluice:
    return sluice_on(url)


def check_upgrade(sluice: Sluice) -> None:
    before = sluice("db", "current")
    assert before.exit_code == 1
    assert before.output.startswith("none (the newest is 00")
    assert before.output.endswith("run `sluice db upgrade`)\n")
    assert "is upgraded from schema none to 00" in sluice("db", "upgrade").output
    assert sluice("db", "upgrade").output.endswith(": nothing to do.\n")
    after = sluice("db", "current")
    assert after.exit_code == 0
    assert after.output.endswith(" (the newest)\n")


def test_a_schema_is_upgraded_and_shown(sluice: Sluice) -> None:
    check_upgrade(sluice)


@pytest.mark.parametrize("command", ["db upgrade", "keys list", "audit"])
def test_a_schema_of_a_newer_sluice_is_named_and_not_upgraded(
    sluice: Sluice, tmp_path: Path, command: str
) -> None:
    sluice("db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "sluice.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    seen = sluice("db", "current")
    assert (seen.exit_code, seen.output[:21]) == (1, "9999 (of a newer Slui")
    refused = sluice(*command.split())
    assert refused.exit_code != 0
    assert "The database has schema 9999 of a newer Sluice" in refused.output
    assert refused.output.endswith(": upgrade Sluice.\n")


@pytest.mark.live
@requires_postgres()
def test_a_schema_of_postgresql_is_upgraded_before_other_commands_work(postgres: PostgresServer) -> None:
    sluice = sluice_on(postgres.database())
    refused = sluice("keys", "list")
    assert refused.exit_code == 1
    assert refused.output.endswith("is needed: run `sluice db upgrade`.\n")
    assert refused.output.count("\n") == 1

    check_upgrade(sluice)
    assert sluice("keys", "list").exit_code == 0


def test_a_backup_is_a_database_of_its_own(sluice: Sluice, url: str, tmp_path: Path) -> None:
    in_database(url, lambda store: ask(store, "q", "a"))
    made = sluice("db", "backup", str(tmp_path / "copy.db"))
    assert made.exit_code == 0
    assert f"is copied to {tmp_path / 'copy.db'} (" in made.output
    again = sluice("db", "backup", str(tmp_path / "copy.db"))
    assert (again.exit_code, again.output.count("\n")) == (1, 1)

    restored = sluice_on(f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}")
    assert restored("users", "erase", "local").output.startswith("sessions\t1\nmessages\t2\n")


def test_a_vacuum_gives_space_back_and_needs_the_database_alone(sluice: Sluice, url: str) -> None:
    async def fill(store: SqlStore) -> None:
        for _ in range(20):
            await ask(store, "q" * 10_000, "a")
        refused = await asyncio.to_thread(sluice, "db", "vacuum")
        assert refused.exit_code == 1
        assert "in use by another gateway" in refused.output

    in_database(url, fill)
    sluice("users", "erase", "local")
    vacuumed = sluice("db", "vacuum").output.split()
    before, after = int(vacuumed[-5]), int(vacuumed[-1].rstrip("."))
    assert before > 2 * after


def test_a_user_is_erased_once_and_not_while_a_reply_runs(sluice: Sluice, url: str) -> None:
    async def erase_beside(store: SqlStore) -> None:
        await store.begin(question())
        refused = await asyncio.to_thread(sluice, "users", "erase", "local")
        assert refused.exit_code == 1
        assert refused.output.startswith("sluice: 1 replies of local are running: stop them or wait")

    in_database(url, erase_beside)
    # The gateway has left the reply running: nobody can end it any more.
    erased = sluice("users", "erase", "local")
    assert erased.exit_code == 0
    assert erased.output == (
        "sessions\t1\nmessages\t2\nidempotency_keys\t0\ndevices\t0\ntemplates\t0\ntoken_usage\t0\n"
        "attachments\t0\nroom_members\t0\napi_keys\t0\n"
    )
    again = sluice("users", "erase", "local")
    assert again.exit_code == 1
    assert "nothing belongs to local in /" in again.output


@pytest.mark.live
@requires_postgres()
def test_a_file_is_moved_to_postgresql_and_used_there(
    sluice: Sluice, url: str, postgres: PostgresServer
) -> None:
    in_database(url, lambda store: ask(store, "q", "a"))
    target = postgres.database()

    moved = sluice("db", "move", "--to", target)
    assert moved.exit_code == 0, moved.output
    assert "messages\t2\n" in moved.output
    assert "Set DATABASE_URL to it" in moved.output
    again = sluice("db", "move", "--to", target)
    assert (again.exit_code, again.output.count("\n")) == (1, 1)
    there = sluice_on(target)
    assert "bytes and has" in there("db", "vacuum").output
    assert there("users", "erase", "local").output.startswith("sessions\t1\nmessages\t2\n")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("sqlite+aiosqlite:///other.db", "Only a SQLite file can be moved, and only to PostgreSQL"),
        ("nonsense", "--to is not allowed: not a database URL"),
        ("mysql+aiomysql://a:hunter2@h/d", "--to is not allowed"),
        ("postgresql+asyncpg://a:hunter2@127.0.0.1:1/d", "cannot be used: .*1"),
    ],
)
def test_a_move_to_another_place_is_refused_in_one_line(sluice: Sluice, to: str, said: str) -> None:
    sluice("db", "upgrade")
    refused = sluice("db", "move", "--to", to)

    assert refused.exit_code != 0
    assert re.search(said, str(refused.exception) + refused.output)
    assert "hunter2" not in refused.output
