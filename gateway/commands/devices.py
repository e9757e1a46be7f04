"""`sluice devices`: lists, adds and removes registered devices."""

from typing import Annotated

import typer

from gateway.commands.admin_client import local_actor
from gateway.commands.database_visit import database_shown, in_store

devices = typer.Typer(help="Devices that chat over MQTT, and the users that own them.", no_args_is_help=True)


@devices.command()
def add(
    name: Annotated[
        str,
        typer.Argument(help="The name in its MQTT topics: 1 to 64 of A-Z a-z 0-9 _ . -", show_default=False),
    ],
    user: Annotated[str, typer.Option(help="The owner; `local` as long as there are no API keys.")],
) -> None:
    """Register a device. It takes effect in running gateways at once."""
    from transports.mqtt.protocol.topics import checked_name

    in_store(lambda store: store.add_device(checked_name(name), user, local_actor()))
    typer.echo(f"{name} belongs to {user}.")
    typer.echo(f"It is registered in {database_shown()}, which is DATABASE_URL.", err=True)


@devices.command("list")
def list_devices() -> None:
    """List all registered devices: name, owner, and time of registration."""
    registered = in_store(lambda store: store.devices())
    if not registered:
        typer.echo(f"No devices are in {database_shown()}, which is DATABASE_URL.", err=True)
    for device in registered:
        typer.echo(f"{device.name}\t{device.user_id}\t{device.created_at:%Y-%m-%d %H:%M}")


@devices.command()
def remove(name: Annotated[str, typer.Argument(show_default=False)]) -> None:
    """Remove a device. Its sessions and messages stay."""
    if not in_store(lambda store: store.remove_device(name, local_actor())):
        typer.echo(f"sluice: no such device in {database_shown()}: {name}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name} is no longer registered.")
