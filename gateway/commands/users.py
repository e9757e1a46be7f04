"""`sluice users`: erases all that belongs to a user."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.admin_client import local_actor
from gateway.commands.database_visit import database_shown, in_store

if TYPE_CHECKING:
    from gateway.store.sql_store import SqlStore

users = typer.Typer(help="The owners of sessions, keys and devices.", no_args_is_help=True)


@users.command()
def erase(
    user: Annotated[str, typer.Argument(help="The user id, as in `sluice keys list`.", show_default=False)],
) -> None:
    """Erase all that belongs to a user: sessions, messages, templates, devices, usage. Keys are revoked.

    It may run beside a gateway, and is refused while replies of the user are running.
    """
    from gateway.contract.audit import Change

    async def erase_in(store: "SqlStore") -> "Mapping[str, int]":
        rows = await store.deletions.erase_user(user)
        if any(rows.values()):
            await store.audit_log.record(Change(local_actor(), "user.erase", user, rows))
        return rows

    rows = in_store(erase_in, swept=True)
    if not any(rows.values()):
        typer.echo(f"sluice: nothing belongs to {user} in {database_shown()}", err=True)
        raise typer.Exit(1)
    for kind, count in rows.items():
        typer.echo(f"{kind}\t{count}")
