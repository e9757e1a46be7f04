"""Migrates the schema. Alembic is imported only if a migration is needed."""

from sqlalchemy import Connection, inspect, text

from gateway.contract.errors import StorageFailed

HEAD = "0010"


def upgrade(connection: Connection) -> None:
    """Migrate to HEAD in the open transaction. Raises StorageFailed if a newer Sluice made the schema."""
    if _revision(connection) != HEAD:
        _run_alembic(connection)


def _revision(connection: Connection) -> str | None:
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
