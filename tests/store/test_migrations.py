"""The tables and the migrations say the same, and a start with nothing to do stays light."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect

from gateway.contract.errors import StorageFailed
from gateway.store.migrations import HEAD
from gateway.store.tables import metadata
from tests.store.rigs import SqliteRig


@pytest.fixture
async def rig(tmp_path: Path) -> SqliteRig:
    """A database that a store has migrated."""
    rig = SqliteRig(tmp_path)
    async with asyncio.timeout(5), rig.store().running():
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

    assert all("AUTOINCREMENT" in made[table] for table in metadata.tables)


def test_head_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_every_migration_can_be_taken_back(rig: SqliteRig) -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")

    def down(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    engine = create_engine(f"sqlite:///{rig.file}")
    with engine.begin() as connection:
        down(connection)
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()


async def test_a_database_of_a_newer_sluice_is_left_alone(rig: SqliteRig) -> None:
    connection = sqlite3.connect(rig.file)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()

    with pytest.raises(StorageFailed, match="9999"):
        async with asyncio.timeout(5), rig.store().running():
            pass


async def test_a_start_with_nothing_to_migrate_does_not_import_alembic(rig: SqliteRig) -> None:
    child = """
import asyncio, sys
from gateway.store.sql_store import SqlStore

async def main():
    async with SqlStore(sys.argv[1]).running():
        sys.exit("alembic" in sys.modules)

asyncio.run(main())
"""
    async with asyncio.timeout(10):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", child, rig.url)
        assert await process.wait() == 0
