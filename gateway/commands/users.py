"""`sluice users`: erases all that belongs to a user."""

from typing import Annotated

import typer

from gateway.commands.admin_client import local_actor
from gateway.commands.database_visit import database_shown, in_store

users = typer.Typer(help="The owners of sessions, keys and devices.", no_args_is_help=True)


@users.command()
def erase(
    user: Annotated[str, typer.Argument(help="The user id, as in `sluice keys list`.", show_default=False)],
) -> None:
    """Erase all that belongs to a user: sessions, messages, templates, devices, usage. Keys are revoked.

    It may run beside a gateway, and is refused while replies of the user are running.
    """
    rows = in_store(lambda store: store.deletions.erase_user(user, local_actor()), swept=True)
    if not any(rows.values()):
        typer.echo(f"sluice: nothing belongs to {user} in {database_shown()}", err=True)
        raise typer.Exit(1)
    for kind, count in rows.items():
        typer.echo(f"{kind}\t{count}")
