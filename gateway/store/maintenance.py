"""Work on a whole database, by the commands `sluice db` and `sluice users`."""

from gateway.store import migrations
from gateway.store.engine import open_database, storage_failures


async def upgrade_database(database_url: str) -> tuple[str | None, str]:
    """Migrate the schema to the newest. Return the revisions before and after.

    Raises StorageFailed if a gateway uses the database, ValueError if the URL cannot be used.
    """
    database = open_database(database_url, "NORMAL")
    async with database.opened():
        with storage_failures("be upgraded"):
            before = await database.transact(migrations.current)
            await database.transact(migrations.upgrade)
    return before, migrations.HEAD


async def current_revision(database_url: str) -> str | None:
    """Return the schema's revision; None if there is no schema."""
    database = open_database(database_url, "NORMAL")
    async with database.opened(alone=False):
        with storage_failures("be read"):
            return await database.transact(migrations.current)
