"""Migrates the schema. Alembic is imported only if a migration is needed."""

from sqlalchemy import Connection, inspect, text

from gateway.contract.errors import StorageFailed

HEAD = "0018"


def upgrade(connection: Connection) -> None:
    """Migrate to HEAD in the open transaction. Raises StorageFailed if a newer Sluice made the schema."""
    found = current(connection)
    if found == HEAD:
        return
    _check_not_newer(found)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('sluice schema', 0))"))
        _create_schema(connection)
        if current(connection) == HEAD:  # another process has upgraded it meanwhile
            return
    _run_alembic(connection)


def _create_schema(connection: Connection) -> None:
    """Create PostgreSQL's schema that the URL names, if it does not exist."""
    if connection.scalar(text("SELECT current_schema()")) is None:
        name = connection.scalar(text("SHOW search_path"))
        connection.execute(text(f'CREATE SCHEMA "{name}"'))


def check(connection: Connection) -> None:
    """Raise StorageFailed if the schema is not that of HEAD."""
    found = current(connection)
    if found is None or found < HEAD:
        schema = "no schema yet" if found is None else f"schema {found}"
        raise StorageFailed(f"The database has {schema}, and {HEAD} is needed: run `sluice db upgrade`.")
    _check_not_newer(found)


def _check_not_newer(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise StorageFailed(
            f"The database has schema {found} of a newer Sluice, and this one knows {HEAD}: upgrade Sluice."
        )


def current(connection: Connection) -> str | None:
    """Return the schema's revision; None if there is no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "gateway.store:migrations")
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        raise StorageFailed(f"This database was made by another version of Sluice: {exc}.") from exc
