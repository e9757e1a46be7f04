"""`sluice keys`: creates, lists, changes and revokes API keys."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.commands.admin_client import local_actor
from gateway.commands.database_visit import database_shown, in_store
from gateway.contract.expiry import expiry_of
from gateway.contract.keys import (
    MAX_NAME_CHARS,
    MAX_RATE_PER_MINUTE,
    MAX_STREAMS,
    MAX_TOKENS_PER_DAY,
    PERMISSIONS,
    USER_PATTERN,
    KeyChange,
    NewKey,
    Permission,
    StoredKey,
)

if TYPE_CHECKING:
    from gateway.store.sql_store import SqlStore

keys = typer.Typer(help="API keys. Once one exists, every request needs one.", no_args_is_help=True)

_MIN_PREFIX_CHARS = 7  # "sk-" and four random characters, so that a short prefix does not match many keys

_KeyName = Annotated[
    str, typer.Argument(help="The key's id, or at least its first 7 characters.", show_default=False)
]


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
    tokens_per_day: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_TOKENS_PER_DAY,
            help="Tokens of its replies, input and output, on a day in UTC. Default: no limit.",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="The time from which it is refused: 12h, 30d, 8w or 2027-01-31. Default: never."),
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
    new = NewKey(
        digest_of(key),
        shown_of(key),
        user,
        name,
        _permissions(scopes),
        rate,
        streams,
        tokens_per_day,
        None if expires is None else _expiry(expires),
    )
    made = in_store(lambda store: store.keys.create(new, local_actor()))
    typer.echo(key)
    typer.echo(f"Key {made.id} of {user}. It is not stored and cannot be shown again: copy it now.", err=True)
    typer.echo(f"Its digest is in {database_shown()}, which is DATABASE_URL.", err=True)


@keys.command("list")
def list_keys() -> None:
    """List all keys: id, first characters, owner, purpose, scopes, limits with today's tokens, creation,
    last use, state."""
    every = in_store(lambda store: store.keys.all())
    if not every:
        typer.echo(f"No keys are in {database_shown()}, which is DATABASE_URL.", err=True)
    for stored in every:
        typer.echo("\t".join(_described(stored)))


@keys.command("set")
def set_limits(
    key: _KeyName,
    tokens_per_day: Annotated[
        str | None, typer.Option(help="Tokens of its replies on a day in UTC; none removes the limit.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="The time from which it is refused: 12h, 30d, 8w, 2027-01-31 or never.")
    ] = None,
) -> None:
    """Change the limits of a key. Running gateways apply them within 5 s."""
    if tokens_per_day is None and expires is None:
        raise typer.BadParameter("give --tokens-per-day or --expires")
    change = KeyChange(
        "unchanged" if tokens_per_day is None else _tokens(tokens_per_day),
        "unchanged" if expires is None else None if expires == "never" else _expiry(expires),
    )

    async def change_key(store: "SqlStore", stored: StoredKey) -> bool:
        return await store.keys.change(stored.id, change, local_actor())

    stored, changed = _at_one_key(key, change_key)
    if not changed:
        _fail(f"key {stored.id} is revoked")
    typer.echo(f"Key {stored.id} of {stored.key.user_id} is changed.")


@keys.command()
def revoke(key: _KeyName) -> None:
    """Revoke a key. Running gateways refuse it within 5 s."""

    async def revoke_key(store: "SqlStore", stored: StoredKey) -> bool:
        return await store.keys.revoke(stored.id, local_actor())

    stored, _ = _at_one_key(key, revoke_key)
    typer.echo(f"Key {stored.id} of {stored.key.user_id} is revoked.")


def _at_one_key(key: str, work: Callable[["SqlStore", StoredKey], Awaitable[bool]]) -> tuple[StoredKey, bool]:
    """Do `work` at the meant key, and return both. Exits with a line if there is none, or several."""

    async def find_and_work(store: "SqlStore") -> tuple[Sequence[StoredKey], bool]:
        found = _meant(key, await store.keys.all())
        return found, len(found) == 1 and await work(store, found[0])

    found, done = in_store(find_and_work)
    if len(found) != 1:
        which = ", ".join(str(stored.id) for stored in found)
        _fail(f"several keys match: {which}" if found else f"no such key in {database_shown()}")
    return found[0], done


def _fail(problem: str) -> NoReturn:
    typer.echo(f"sluice: {problem}", err=True)
    raise typer.Exit(1)


def _expiry(text: str) -> datetime:
    try:
        return expiry_of(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--expires") from None


def _tokens(text: str) -> int | None:
    if text == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,13}", text) or not 1 <= int(text) <= MAX_TOKENS_PER_DAY:
        raise typer.BadParameter(
            f"{text!r}: must be 1 to {MAX_TOKENS_PER_DAY}, or none", param_hint="--tokens-per-day"
        )
    return int(text)


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
        *([f"{_today(stored)} of {key.tokens_per_day} tokens today"] if key.tokens_per_day else []),
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
        _state(stored),
    ]


def _today(stored: StoredKey) -> int:
    """Return the tokens of the key's replies that ended today."""
    return stored.tokens_on(datetime.now(UTC).date())


def _state(stored: StoredKey) -> str:
    if stored.revoked_at:
        return f"revoked {stored.revoked_at:%Y-%m-%d %H:%M}"
    if (expires_at := stored.key.expires_at) is None:
        return "lives"
    return f"{'expired' if expires_at <= datetime.now(UTC) else 'expires'} {expires_at:%Y-%m-%d %H:%M}"
