"""`sluice devices`: which devices are registered, and whose they are."""

from typing import Annotated

import typer

from gateway.commands.database_visit import database_shown, in_store

devices = typer.Typer(help="The devices that chat over MQTT, and whose they are.", no_args_is_help=True)


@devices.command()
def add(
    name: Annotated[
        str, typer.Argument(help="As in its topics: 1 to 64 of A-Z a-z 0-9 _ . -", show_default=False)
    ],
    user: Annotated[str, typer.Option(help="Whose it is; `local` while nobody has keys.")],
) -> None:
    """Register a device; a gateway that runs knows it at once."""
    from transports.mqtt.protocol.topics import checked_name

    in_store(lambda store: store.add_device(checked_name(name), user))
    typer.echo(f"{name} belongs to {user}.")
    typer.echo(f"It is registered in {database_shown()}, which is DATABASE_URL.", err=True)


@devices.command("list")
def list_devices() -> None:
    """Show all registered devices: name, user, and since when."""
    for device in in_store(lambda store: store.devices()):
        typer.echo(f"{device.name}\t{device.user_id}\t{device.created_at:%Y-%m-%d %H:%M}")


@devices.command()
def remove(name: Annotated[str, typer.Argument(show_default=False)]) -> None:
    """Forget a device; what was said with it stays."""
    if not in_store(lambda store: store.remove_device(name)):
        typer.echo(f"sluice: no device is called {name} in {database_shown()}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name} is no longer registered.")
