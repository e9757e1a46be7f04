"""A command's short visit to the database, beside a gateway that may be at work on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from gateway.contract.errors import GatewayError
from gateway.settings import SettingsError, load_settings, shown

if TYPE_CHECKING:  # the database is not loaded for the sake of other commands
    from gateway.store.sql_store import SqlStore

R = TypeVar("R")


def database_shown() -> str:
    """The database of the settings: the path of its file, or its URL without a password."""
    url = load_settings().database_url
    if url.startswith("sqlite"):
        path = url.partition("///")[2].partition("?")[0]
        return str(Path(path).resolve()) if path else "memory"
    return shown(url)


def in_store(work: Callable[[SqlStore], Awaitable[R]]) -> R:
    """What `work` gives, done in the database of the settings; its GatewayError ends the command."""
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
                    return error  # raised, it would come out in a group
        except GatewayError as error:
            return error

    outcome = asyncio.run(visit())
    if isinstance(outcome, GatewayError):
        typer.echo(f"sluice: {outcome}", err=True)
        raise typer.Exit(1)
    return outcome
