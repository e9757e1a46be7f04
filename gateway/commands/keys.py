"""`sluice keys`: creates, lists and revokes API keys."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.admin_client import local_actor
from gateway.commands.database_visit import database_shown, in_store
from gateway.contract.keys import (
    MAX_NAME_CHARS,
    MAX_RATE_PER_MINUTE,
    MAX_STREAMS,
    PERMISSIONS,
    USER_PATTERN,
    NewKey,
    Permission,
    StoredKey,
)

if TYPE_CHECKING:
    from gateway.store.sql_store import SqlStore

keys = typer.Typer(help="API keys. Once one exists, every request needs one.", no_args_is_help=True)

_MIN_PREFIX_CHARS = 7  # "sk-" and four random characters, so that a short prefix does not match many keys


@keys.command()
def create(
    user: Annotated[str, typer.Option(help="The owner: 1 to 64 of A-Z a-z 0-9 _ . @ + -")],
    name: Annotated[str, typer.Option(help="The purpose of the key, shown in lists.")] = "",
    scopes: Annotated[str, typer.Option(help="One or more of chat, admin, metrics, with commas.")] = "chat",
    rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_RATE_PER_MINUTE,
            help="Requests per minute of this key. Default: RATE_PER_MINUTE per user.",
        ),
    ] = None,
    streams: Annotated[
        int | None,
        typer.Option(
            min=1, max=MAX_STREAMS, help="Replies at a time of this key. Default: STREAMS_PER_USER per user."
        ),
    ] = None,
) -> None:
    """Create a key and show it once. Running gateways accept it within 5 s."""
    from gateway.core.key_ring import digest_of, draw_key, shown_of

    if not re.fullmatch(USER_PATTERN, user):
        raise typer.BadParameter(f"{user!r}: must be 1 to 64 of A-Z a-z 0-9 _ . @ + -", param_hint="--user")
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise typer.BadParameter(
            f"must be at most {MAX_NAME_CHARS} characters on one line", param_hint="--name"
        )
    key = draw_key()
    new = NewKey(digest_of(key), shown_of(key), user, name, _permissions(scopes), rate, streams)
    made = in_store(lambda store: store.keys.create(new, local_actor()))
    typer.echo(key)
    typer.echo(f"Key {made.id} of {user}. It is not stored and cannot be shown again: copy it now.", err=True)
    typer.echo(f"Its digest is in {database_shown()}, which is DATABASE_URL.", err=True)


@keys.command("list")
def list_keys() -> None:
    """List all keys: id, first characters, owner, purpose, scopes, limits, creation, last use, state."""
    for stored in in_store(lambda store: store.keys.all()):
        typer.echo("\t".join(_described(stored)))


@keys.command()
def revoke(
    key: Annotated[
        str, typer.Argument(help="The key's id, or at least its first 7 characters.", show_default=False)
    ],
) -> None:
    """Revoke a key. Running gateways refuse it within 5 s."""

    async def find_and_revoke(store: "SqlStore") -> Sequence[StoredKey]:
        found = _meant(key, await store.keys.all())
        if len(found) == 1:
            await store.keys.revoke(found[0].id, local_actor())
        return found

    found = in_store(find_and_revoke)
    if len(found) != 1:
        which = ", ".join(str(stored.id) for stored in found)
        problem = f"several keys match: {which}" if found else f"no such key in {database_shown()}"
        typer.echo(f"sluice: {problem}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Key {found[0].id} of {found[0].key.user_id} is revoked.")


def _permissions(scopes: str) -> frozenset[Permission]:
    wanted = {word.strip() for word in scopes.split(",")}
    if unknown := wanted - set(PERMISSIONS):
        raise typer.BadParameter(
            f"{', '.join(map(repr, sorted(unknown)))}: must be some of {', '.join(PERMISSIONS)}",
            param_hint="--scopes",
        )
    return frozenset(permission for permission in PERMISSIONS if permission in wanted)


def _meant(key: str, stored: Sequence[StoredKey]) -> Sequence[StoredKey]:
    """Return the key with this id, or the keys that begin with these characters, which may be a whole key."""
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
