"""Requests of commands to the administration endpoints of a running gateway."""

import getpass
import http.client
import json
import socket
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from gateway.commands.printable import printable
from gateway.contract.audit import Actor
from gateway.contract.host_ports import address_of
from gateway.settings import Settings, load_settings

TIMEOUT_S = 30
WITH_KEY = "A command gets its key by --key or SLUICE_API_KEY."

Url = Annotated[
    str, typer.Option(envvar="SLUICE_URL", help="The gateway. Default: http://HOST:PORT of the settings.")
]
Key = Annotated[
    str, typer.Option(envvar="SLUICE_API_KEY", help="A key with scope admin, if the gateway requires one.")
]


class NoGateway(Exception):
    """Nothing answers at the gateway's URL."""


def ask_gateway(url: str, key: str, method: str, path: str, body: object = None) -> Any:
    """Send one request and return the JSON of the response, None without a body.

    Raises NoGateway. A refusal is printed and ends the command with exit code 1.
    """
    status, told = send_request(url, key, method, path, body)
    if status >= http.client.BAD_REQUEST:
        fail(detail_of(status, told))
    if isinstance(told, bytes):
        raise NoGateway("the program that answers is no gateway")
    return told


def send_request(url: str, key: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Send one request. Return the status and the JSON of the response, or its bytes if they are none.

    Raises NoGateway. A wrong `url` or `key` ends the command with exit code 2.
    """
    url = checked_url(url)
    parts = urlsplit(url)
    check_key(key)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            encoded = None if body is None else json.dumps(body).encode()
            connection.request(method, f"{parts.path.rstrip('/')}{path}", encoded, headers)
            response = connection.getresponse()
            status, told = response.status, response.read()
        finally:
            connection.close()
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise NoGateway(f"no gateway answers at {url}: {error}") from error
    try:
        return status, json.loads(told) if told else None
    except ValueError:
        return status, told


def checked_url(url: str) -> str:
    """Return `url`, or that of the settings if it is empty. A wrong one ends the command with exit code 2."""
    url = url or url_of_settings(load_settings())
    try:
        parts = urlsplit(url)
        is_url = (parts.port or 0) >= 0 and parts.scheme in {"http", "https"} and bool(parts.hostname)
        (parts.hostname or "").encode("idna")  # as the connection does it
    except ValueError:  # the port is no number or too large, or the host cannot be looked up
        is_url = False
    if not is_url:
        raise typer.BadParameter(f"{url!r}: must be such as http://127.0.0.1:8000", param_hint="--url")
    return url


def check_key(key: str) -> None:
    """End the command with exit code 2 if a header cannot have this key."""
    if not (key.isascii() and key.isprintable()):
        raise typer.BadParameter("must be visible ASCII on one line", param_hint="--key")


def ask_or_fail(url: str, key: str, method: str, path: str, body: object = None) -> Any:
    """Do as `ask_gateway`, and end the command with exit code 1 if no gateway answers."""
    try:
        return ask_gateway(url, key, method, path, body)
    except NoGateway as error:
        fail(f"{error}. Start it, or give its address with --url or SLUICE_URL.")


def fail(message: str) -> Any:
    """Print one line and end the command with exit code 1."""
    typer.echo(f"sluice: {printable(message)}", err=True)
    raise typer.Exit(1)


def local_actor() -> Actor:
    """Return the author of changes that a command makes in the database itself."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # the user id has no name, as in some containers
        name = "unknown"
    return Actor(name, f"command line on {socket.gethostname()}")


def url_of_settings(settings: Settings) -> str:
    """Return the address of a gateway with these settings, for this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{address_of(host, settings.port)}{settings.root_path}"


def detail_of(status: int, told: Any) -> str:
    """Return the reason of a refusal, from its JSON."""
    try:
        detail = str(told["detail"])
        return f"{detail} {WITH_KEY}" if status == http.client.UNAUTHORIZED else detail
    except (KeyError, TypeError):
        said = told.decode(errors="replace") if isinstance(told, bytes) else json.dumps(told)
        return f"the gateway answered {status}: {said[:200]}"
