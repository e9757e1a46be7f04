"""The schema of a whole database, for the commands `sluice db`."""

from gateway.store import migrations
from gateway.store.engine import Database, storage_failures


async def upgrade_database(database: Database) -> tuple[str | None, str]:
    """Migrate the schema to the newest. Return the revisions before and after.

    Raises StorageFailed if a gateway uses the database.
    """
    async with database.opened():
        with storage_failures("be upgraded"):
            before = await database.transact(migrations.current)
            await database.transact(migrations.upgrade)
    return before, migrations.HEAD


async def current_revision(database: Database) -> str | None:
    """Return the schema's revision; None if there is no schema."""
    async with database.opened(alone=False):
        with storage_failures("be read"):
            return await database.transact(migrations.current)
