"""`sluice db`: the database's schema, backups, and its move from SQLite to PostgreSQL."""

import typer

from gateway.commands.database_visit import database_shown, on_database

db = typer.Typer(help="The database of DATABASE_URL.", no_args_is_help=True)


@db.command()
def upgrade() -> None:
    """Change the schema to the newest. No gateway may be running.

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
    from gateway.store.migrations import HEAD

    found = on_database(current_revision)
    if found != HEAD:
        typer.echo(f"{found or 'none'} (the newest is {HEAD}: run `sluice db upgrade`)")
        raise typer.Exit(1)
    typer.echo(f"{found} (the newest)")
