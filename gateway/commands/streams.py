"""`sluice streams`: lists and stops the running replies of a gateway."""

from typing import Annotated
from urllib.parse import quote

import typer

from gateway.commands.admin_client import Key, Url, ask_or_fail
from gateway.commands.printable import printable

streams = typer.Typer(help="Running replies of all users.", no_args_is_help=True)

PATH = "/api/admin/streams"


@streams.command("list")
def list_streams(
    user: Annotated[str, typer.Option(help="Only those of this user.")] = "",
    url: Url = "",
    key: Key = "",
) -> None:
    """List the running replies.

    The columns: id, user, session, mode, dialect, age, characters so far, readers, and another gateway that
    generates it.
    """
    query = f"?limit=10000{f'&user={quote(user, safe=str())}' if user else ''}"
    running = ask_or_fail(url, key, "GET", PATH + query)
    if not running:
        typer.echo(f"No replies{f' of {printable(user)}' if user else ''} are running.", err=True)
    for stream in running:
        typer.echo(
            "\t".join(
                [
                    stream["id"],
                    stream["user"],
                    stream["session_key"] or "-",
                    stream["mode"] or "-",
                    stream["dialect"] or "-",
                    f"{stream['age_s']} s",
                    f"{stream['chars']} characters",
                    "- readers" if stream["readers"] is None else f"{stream['readers']} readers",
                    stream["gateway"] or "-",
                ]
            )
        )


@streams.command()
def stop(stream: Annotated[str, typer.Argument(show_default=False)], url: Url = "", key: Key = "") -> None:
    """Stop one reply. Its text so far is stored."""
    ask_or_fail(url, key, "DELETE", f"{PATH}/{quote(stream, safe='')}")
    typer.echo(f"{stream} is stopped.")
