"""Short access of a command to the database, possibly while a gateway uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from gateway.contract.errors import GatewayError, StorageFailed
from gateway.contract.gateways import DEAD_S
from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings_errors import shown

if TYPE_CHECKING:  # imported in the function: commands without a database do not load SQLAlchemy
    from gateway.store.engine import Database
    from gateway.store.sql_store import SqlStore

R = TypeVar("R")


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """Print a GatewayError and end the command with exit code 1."""
    try:
        yield
    except GatewayError as error:
        typer.echo(f"sluice: {error}", err=True)
        raise typer.Exit(1) from error


def database_shown(settings: Settings | None = None) -> str:
    """Return the path of the database's file from the settings, or its URL without a password."""
    url = (settings or load_settings()).database_url
    if url.startswith("sqlite"):
        path = url.partition("///")[2].partition("?")[0]
        return str(Path(path).resolve()) if path else "memory"
    return shown(url)


def on_database(work: Callable[[Database], Coroutine[Any, Any, R]]) -> R:
    """Run `work` on the database of the settings, not yet opened, and return its result. A GatewayError is
    printed and ends the command with exit code 1."""
    database = database_at(load_settings().database_url, "DATABASE_URL")
    with failing_in_one_line():
        return asyncio.run(work(database))


def database_at(url: str, named: str) -> Database:
    """Return the database, not yet opened. named: the setting or option with the URL, for errors."""
    from gateway.store.engine import open_database

    try:
        return open_database(url, "NORMAL")
    except ValueError as error:
        raise SettingsError(f"{named} is not allowed: {error}") from error


def in_store(work: Callable[[SqlStore], Awaitable[R]], *, swept: bool = False) -> R:
    """Run `work` on the database of the settings and return its result. A GatewayError is printed and ends
    the command with exit code 1.

    swept: end the replies of gateways that do not run any more; on SQLite only if none is running.
    """
    from gateway.core.access import OwnerAccess
    from gateway.store.sql_store import SqlStore

    try:
        store = SqlStore(load_settings().database_url, access=OwnerAccess())
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL is not allowed: {error}") from error

    async def visit() -> R | GatewayError:
        if swept:
            with suppress(StorageFailed):  # a gateway is running
                async with store.running():
                    gateways = store.membership.gateways
                    await store.sweep(None if gateways is None else await gateways.dead(DEAD_S))
        async with store.running(alone=False):
            try:
                return await work(store)
            except GatewayError as error:
                return error  # raised, it would be wrapped in an exception group

    with failing_in_one_line():
        outcome = asyncio.run(visit())
        if isinstance(outcome, GatewayError):
            raise outcome
    return outcome
