"""Short access of a command to the database, possibly while a gateway uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from gateway.contract.errors import GatewayError
from gateway.settings import SettingsError, load_settings, shown

if TYPE_CHECKING:  # imported in the function: commands without a database do not load SQLAlchemy
    from gateway.store.sql_store import SqlStore

R = TypeVar("R")


def database_shown() -> str:
    """Return the path of the database's file from the settings, or its URL without a password."""
    url = load_settings().database_url
    if url.startswith("sqlite"):
        path = url.partition("///")[2].partition("?")[0]
        return str(Path(path).resolve()) if path else "memory"
    return shown(url)


def in_store(work: Callable[[SqlStore], Awaitable[R]]) -> R:
    """Run `work` on the database of the settings and return its result. A GatewayError is printed and ends
    the command with exit code 1."""
    from gateway.core.access import OwnerAccess
    from gateway.store.sql_store import SqlStore

    async def visit() -> R | GatewayError:
        try:
            store = SqlStore(load_settings().database_url, access=OwnerAccess())
        except ValueError as error:
            raise SettingsError(f"DATABASE_URL is not allowed: {error}") from error
        try:
            async with store.running(alone=False):
                try:
                    return await work(store)
                except GatewayError as error:
                    return error  # raised, it would be wrapped in an exception group
        except GatewayError as error:
            return error

    outcome = asyncio.run(visit())
    if isinstance(outcome, GatewayError):
        typer.echo(f"sluice: {outcome}", err=True)
        raise typer.Exit(1)
    return outcome
