"""`sluice db`: the database's schema, backups, and its move from SQLite to PostgreSQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.database_visit import database_at, database_shown, on_database
from gateway.contract.errors import StorageFailed
from gateway.settings import load_settings
from gateway.settings_errors import shown

if TYPE_CHECKING:
    from gateway.store.engine import Database

db = typer.Typer(help="The database of DATABASE_URL.", no_args_is_help=True)


@db.command()
def upgrade() -> None:
    """Change the schema to the newest. On SQLite no gateway may be running.

    PostgreSQL needs it before the first start and after each upgrade of Sluice. A SQLite file is upgraded
    when the gateway starts.
    """
    from gateway.store.maintenance import upgrade_database

    before, after = on_database(upgrade_database)
    if before == after:
        typer.echo(f"{database_shown()} has the newest schema, {after}: nothing to do.")
    else:
        typer.echo(f"{database_shown()} is upgraded from schema {before or 'none'} to {after}.")


@db.command()
def current() -> None:
    """Show the schema's revision. Exit code 1 if it is not the newest."""
    from gateway.store.maintenance import current_revision
    from gateway.store.schema_migration import HEAD

    found = on_database(current_revision)
    if found is not None and found > HEAD:
        typer.echo(f"{found} (of a newer Sluice: this one knows {HEAD})")
        raise typer.Exit(1)
    if found != HEAD:
        typer.echo(f"{found or 'none'} (the newest is {HEAD}: run `sluice db upgrade`)")
        raise typer.Exit(1)
    typer.echo(f"{found} (the newest)")


@db.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file.", show_default=False)],
) -> None:
    """Copy the database into a file; a gateway may go on using it.

    The copy of a SQLite file is a SQLite file. PostgreSQL is copied by pg_dump, and restored by pg_restore.
    """
    from gateway.store.backup import back_up

    size = on_database(lambda _: back_up(load_settings().database_url, file))
    typer.echo(f"{database_shown()} is copied to {file} ({size} bytes).")


@db.command()
def vacuum() -> None:
    """Give the space of deleted rows back to the file system. On SQLite no gateway may be running."""
    from gateway.store.maintenance import vacuum_database

    before, after = on_database(vacuum_database)
    typer.echo(f"{database_shown()} had {before} bytes and has {after}.")


@db.command("move")
def move_to(
    to: Annotated[
        str, typer.Option(help="postgresql+asyncpg://user:password@host/database, which is empty.")
    ],
) -> None:
    """Copy the SQLite file of DATABASE_URL into an empty PostgreSQL database. No gateway may be running.

    All rows arrive, or none. The file stays as it is.
    """
    from gateway.store.move import move
    from gateway.store.sqlite_file import SqliteFile

    url = load_settings().database_url
    target = database_at(to, "--to")

    async def copy(source: "Database") -> int:
        if not isinstance(source, SqliteFile) or isinstance(target, SqliteFile):
            raise StorageFailed("Only a SQLite file can be moved, and only to PostgreSQL.")
        rows = await move(url, source, target, lambda table, rows: typer.echo(f"{table}\t{rows}"))
        return sum(rows.values())

    rows = on_database(copy)
    typer.echo(f"{rows} rows are in {shown(to)}. Set DATABASE_URL to it; {database_shown()} is as it was.")
