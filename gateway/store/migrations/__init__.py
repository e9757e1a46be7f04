"""The schema's history; Alembic is imported only when there is something to do."""

from sqlalchemy import Connection, inspect, text

from gateway.contract.errors import StorageFailed

HEAD = "0010"


def upgrade(connection: Connection) -> None:
    """Bring the schema to HEAD in the transaction that is open; StorageFailed if a newer Sluice made it."""
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
