"""`sluice mode`: shows and switches the mode of a running gateway; without one, that of the next start."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.commands.admin_client import Key, NoGateway, Url, ask_gateway, local_actor
from gateway.commands.database_visit import database_shown, in_store
from gateway.commands.printable import printable
from gateway.contract.audit import Actor, Change
from gateway.settings import load_settings

PATH = "/api/admin/mode"
NAME = "mode"


class ModeName(StrEnum):
    sse = "sse"
    mqtt = "mqtt"
    auto = "auto"


def mode(
    to: Annotated[
        ModeName | None,
        typer.Argument(metavar="[sse|mqtt|auto]", help="The new mode; without it, show the mode."),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Return to LLM_COMM_MODE.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Switch even if the mode cannot serve now.")] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Show or switch the mode. New replies use it at once; running replies end where they are.

    The switch also applies after a restart, until LLM_COMM_MODE is changed or --reset.
    """
    if to is not None and reset:
        raise typer.BadParameter("give either a mode or --reset")
    try:
        if reset:
            told = ask_gateway(url, key, "DELETE", PATH)
        elif to is not None:
            told = ask_gateway(url, key, "PUT", f"{PATH}?force={int(force)}", {"mode": to.value})
        else:
            told = ask_gateway(url, key, "GET", PATH)
    except NoGateway as error:
        typer.echo(f"sluice: {error}", err=True)
        _in_database(to, reset)
        return
    _show(told)


def _show(told: dict[str, Any]) -> None:
    typer.echo(f"mode {told['mode']} (LLM_COMM_MODE={told['setting']})")
    if (switch := told["switch"]) is not None:
        by, at = Actor(**switch["by"]), datetime.fromisoformat(switch["at"])
        typer.echo(f"switched to {switch['mode']} at {at:%Y-%m-%d %H:%M} UTC by {by}")
    for state in told["modes"]:
        is_able = "can serve" if state["ok"] else "cannot serve"
        typer.echo(f"{is_able}\t{state['mode']}\t{printable(state['detail'])}")


def _in_database(to: ModeName | None, reset: bool) -> None:
    """Show or change the kept switch in the database of the settings."""
    where = f"in {database_shown()}, which is DATABASE_URL"
    setting = load_settings().llm_comm_mode
    if to is not None:
        change = Change(local_actor(), "mode.switch", to.value)
        in_store(lambda store: store.kept_settings.put(NAME, {"mode": to.value, "setting": None}, change))
        typer.echo(
            f"Mode {to.value} is kept {where}, unchecked. It applies at the next start, and within 2 s"
        )
        typer.echo("in a gateway that runs on this database.")
    elif reset:
        change = Change(local_actor(), "mode.reset", setting)
        in_store(lambda store: store.kept_settings.remove(NAME, change))
        typer.echo(f"No switch is kept {where} any more: LLM_COMM_MODE={setting} applies.")
    else:
        kept = next(
            (one for one in in_store(lambda store: store.kept_settings.all()) if one.name == NAME), None
        )
        switch = "no switch" if kept is None else f"the switch to {kept.value.get('mode')} by {kept.set_by}"
        typer.echo(f"LLM_COMM_MODE={setting}; {switch} is kept {where}.")
