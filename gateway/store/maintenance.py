"""Work on a whole database, for the commands `sluice db`."""

from gateway.store import schema_migration
from gateway.store.engine import Database, storage_failures
from gateway.store.sqlite_file import SqliteFile
from gateway.store.usage import size_of


async def upgrade_database(database: Database) -> tuple[str | None, str]:
    """Migrate the schema to the newest. Return the revisions before and after.

    Raises StorageFailed if a gateway uses the SQLite file. Gateways on PostgreSQL go on: migrations only add.
    """
    async with database.opened():
        with storage_failures("be upgraded"):
            before = await database.transact(schema_migration.current)
            await database.transact(schema_migration.upgrade)
    return before, schema_migration.HEAD


async def current_revision(database: Database) -> str | None:
    """Return the schema's revision; None if there is no schema."""
    async with database.opened(alone=False):
        with storage_failures("be read"):
            return await database.transact(schema_migration.current)


async def vacuum_database(database: Database) -> tuple[int, int]:
    """Give the space of deleted rows back to the file system. Return the sizes before and after, in bytes.

    Raises StorageFailed if a gateway uses the database and it is a SQLite file.
    """
    async with database.opened(alone=isinstance(database, SqliteFile)):
        with storage_failures("be vacuumed"):
            before = await _size(database)
            await database.vacuum()
            return before, await _size(database)


async def _size(database: Database) -> int:
    async with database.reader() as connection:
        return await size_of(connection)
