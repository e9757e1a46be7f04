"""The tables and the migrations say the same, and a start with nothing to do stays light."""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect

from gateway.contract.errors import StorageFailed
from gateway.contract.events import ToolCall
from gateway.store.schema_migration import HEAD
from gateway.store.tables import metadata
from tests.store.rigs import SqliteRig


@contextmanager
def migrating(rig: SqliteRig) -> Iterator[tuple[Connection, Config]]:
    """A connection, and what makes Alembic's commands work on it."""
    engine = create_engine(f"sqlite:///{rig.file}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "gateway.store:migrations")
        yield connection, config
    engine.dispose()


@pytest.fixture
async def rig(tmp_path: Path) -> SqliteRig:
    """A database that a store has migrated."""
    rig = SqliteRig(tmp_path)
    async with asyncio.timeout(30), rig.store().running():
        pass
    return rig


async def test_what_the_migrations_make_is_what_the_tables_say(rig: SqliteRig) -> None:
    engine = create_engine(f"sqlite:///{rig.file}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


async def test_a_migrated_table_counts_up_like_the_declared_one(rig: SqliteRig) -> None:
    connection = sqlite3.connect(rig.file)
    made = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    connection.close()

    assert all("AUTOINCREMENT" in made[name] for name, table in metadata.tables.items() if "id" in table.c)


def test_head_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_every_migration_can_be_taken_back(rig: SqliteRig) -> None:
    with migrating(rig) as (connection, config):
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


async def test_a_database_of_the_first_version_keeps_its_messages(tmp_path: Path) -> None:
    rig = SqliteRig(tmp_path)
    with migrating(rig) as (connection, config):
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO sessions VALUES (1, 'u1', 'local-1', 'local', '', '', '2026-01-01', '2026-01-01')"
        )
        connection.exec_driver_sql(
            "INSERT INTO messages (uuid, user_id, session_id, role, status, created_at, content, tool_calls) "
            """VALUES ('u2', 'local', 1, 'assistant', 'complete', '2026-01-01', 'hello', """
            """'[{"id": "c1", "name": "f", "arguments": ""}]')"""
        )

    async with asyncio.timeout(30), (store := rig.store()).running():
        (kept,) = await store.messages("local", 1)
        assert (kept.content, kept.tool_calls, kept.tool_call_seqs) == (
            "hello",
            (ToolCall("c1", "f", ""),),
            (),
        )
        assert kept.last_seq is None


async def test_a_database_of_a_newer_sluice_is_left_alone(rig: SqliteRig) -> None:
    connection = sqlite3.connect(rig.file)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()

    with pytest.raises(StorageFailed, match="9999"):
        async with asyncio.timeout(30), rig.store().running():
            pass


async def test_a_start_with_nothing_to_migrate_does_not_import_alembic(rig: SqliteRig) -> None:
    child = """
import asyncio, sys
from gateway.core.access import OwnerAccess
from gateway.store.sql_store import SqlStore

async def main():
    async with SqlStore(sys.argv[1], access=OwnerAccess()).running():
        sys.exit("alembic" in sys.modules)

asyncio.run(main())
"""
    async with asyncio.timeout(30):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", child, rig.url)
        assert await process.wait() == 0
