"""`sluice keys`: who may come in, and how much they may use."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.database_visit import database_shown, in_store
from gateway.contract.keys import PERMISSIONS, NewKey, Permission, StoredKey

if TYPE_CHECKING:
    from gateway.store.sql_store import SqlStore

keys = typer.Typer(help="API keys. Once there was one, nobody comes in without one.", no_args_is_help=True)

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")
_MAX_NAME_CHARS = 120
_MIN_PREFIX_CHARS = 7  # four that were drawn: nobody revokes whatever begins with sk-


@keys.command()
def create(
    user: Annotated[str, typer.Option(help="Whose it is: 1 to 64 of A-Z a-z 0-9 _ . @ + -")],
    name: Annotated[str, typer.Option(help="What it is for, to tell it from others.")] = "",
    scopes: Annotated[str, typer.Option(help="Some of chat, admin and metrics, with commas.")] = "chat",
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests a minute of this key alone; else RATE_PER_MINUTE.")
    ] = None,
    streams: Annotated[
        int | None, typer.Option(min=1, help="Replies at once of this key alone; else STREAMS_PER_USER.")
    ] = None,
) -> None:
    """Make a key and show it, this once. A gateway that runs knows it within 5 s."""
    from gateway.core.keys import digest_of, draw_key, shown_of

    if not _USER.fullmatch(user):
        raise typer.BadParameter(f"{user!r} is not 1 to 64 of A-Z a-z 0-9 _ . @ + -", param_hint="--user")
    if len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise typer.BadParameter(f"at most {_MAX_NAME_CHARS} characters on one line", param_hint="--name")
    key = draw_key()
    new = NewKey(digest_of(key), shown_of(key), user, name, _permissions(scopes), rate, streams)
    made = in_store(lambda store: store.keys.create(new))
    typer.echo(key)
    typer.echo(f"Key {made.id} of {user}. It is kept nowhere: copy it now.", err=True)
    typer.echo(f"Its digest is in {database_shown()}, which is DATABASE_URL.", err=True)


@keys.command("list")
def list_keys() -> None:
    """Show all keys, by their first characters, and when each was last used."""
    for stored in in_store(lambda store: store.keys.all()):
        typer.echo("\t".join(_described(stored)))


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id, or its first characters.", show_default=False)],
) -> None:
    """Let a key open nothing any more; a gateway that runs knows it within 5 s."""

    async def find_and_revoke(store: "SqlStore") -> Sequence[StoredKey]:
        found = _meant(key, await store.keys.all())
        if len(found) == 1:
            await store.keys.revoke(found[0].id)
        return found

    found = in_store(find_and_revoke)
    if len(found) != 1:
        which = ", ".join(str(stored.id) for stored in found)
        problem = f"more than one: {which}" if found else f"no such key in {database_shown()}"
        typer.echo(f"sluice: {problem}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Key {found[0].id} of {found[0].key.user_id} is revoked.")


def _permissions(scopes: str) -> frozenset[Permission]:
    wanted = {word.strip() for word in scopes.split(",")}
    if unknown := wanted - set(PERMISSIONS):
        raise typer.BadParameter(
            f"{', '.join(map(repr, sorted(unknown)))}: only {', '.join(PERMISSIONS)}", param_hint="--scopes"
        )
    return frozenset(permission for permission in PERMISSIONS if permission in wanted)


def _meant(key: str, stored: Sequence[StoredKey]) -> Sequence[StoredKey]:
    """The key of this id, or those that begin with these characters; a whole key is one that begins so."""
    if key.isdecimal():
        return [one for one in stored if one.id == int(key)]
    if len(key) < _MIN_PREFIX_CHARS:
        return []
    return [one for one in stored if one.key.prefix.startswith(key) or key.startswith(one.key.prefix)]


def _described(stored: StoredKey) -> list[str]:
    key = stored.key
    own = [
        *([f"{key.rate_per_minute}/min"] if key.rate_per_minute else []),
        *([f"{key.streams} streams"] if key.streams else []),
    ]
    used = f"used {stored.last_used_at:%Y-%m-%d %H:%M}" if stored.last_used_at else "never used"
    return [
        str(stored.id),
        f"{key.prefix}…",
        key.user_id,
        key.name or "-",
        ",".join(sorted(key.permissions)),
        " ".join(own) or "-",
        f"made {stored.created_at:%Y-%m-%d %H:%M}",
        used,
        f"revoked {stored.revoked_at:%Y-%m-%d %H:%M}" if stored.revoked_at else "lives",
    ]
