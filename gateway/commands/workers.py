"""`sluice workers`: lists the workers of a gateway, and disables, enables and limits them."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.commands.admin_client import Key, Url, ask_or_fail
from gateway.commands.printable import printable
from gateway.contract.audit import Actor

workers = typer.Typer(help="MQTT workers of a running gateway, and rules for them.", no_args_is_help=True)

PATH = "/api/admin/workers"

Name = Annotated[str, typer.Argument(show_default=False)]


@workers.command("list")
def list_workers(url: Url = "", key: Key = "") -> None:
    """List the workers: name, state, requests of this gateway, models, and the rule with its author."""
    known = ask_or_fail(url, key, "GET", PATH)
    if not known:
        typer.echo("No workers are known.", err=True)
    for worker in known:
        typer.echo("\t".join(map(printable, _described(worker))))


@workers.command()
def disable(name: Name, url: Url = "", key: Key = "") -> None:
    """Send no new requests to a worker. The requests that it has go on."""
    _change(name, {"disabled": True}, url, key)


@workers.command()
def enable(name: Name, url: Url = "", key: Key = "") -> None:
    """Send requests to a disabled worker again."""
    _change(name, {"disabled": False}, url, key)


@workers.command()
def limit(
    name: Name,
    requests: Annotated[
        int | None,
        typer.Argument(min=1, help="Requests at the same time. Default: no limit of this kind."),
    ] = None,
    url: Url = "",
    key: Key = "",
) -> None:
    """Limit the requests that this gateway sends to a worker at the same time, below its own `max`."""
    _change(name, {"max_requests": requests}, url, key)


def _change(name: str, body: dict[str, Any], url: str, key: str) -> None:
    changed = ask_or_fail(url, key, "PATCH", f"{PATH}/{quote(name, safe='')}", body)
    typer.echo("\t".join(map(printable, _described(changed))))


def _described(worker: dict[str, Any]) -> list[str]:
    info, by = worker["worker"], worker["by"]
    rule = [
        *(["disabled"] if worker["disabled"] else []),
        *([f"at most {worker['max_requests']} requests"] if worker["max_requests"] else []),
    ]
    state = "away" if info is None else "set aside" if info["set_aside"] else info["state"]
    return [
        worker["name"],
        state,
        "-" if info is None else f"{info['open']} of {info['max']} requests",
        "-" if info is None else ",".join(info["models"]) or "-",
        f"{', '.join(rule)} by {Actor(**by)}" if rule and by else "-",
    ]
