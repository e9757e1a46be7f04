"""Finds out if a gateway with these settings holds the connection to the broker.

A broker can use a client's username as its client id, as with the shipped mosquitto.conf. There a second
connection with the gateway's credentials ends the gateway's own, and with it the replies of all workers.
"""

import asyncio
import http.client
import json
from typing import Any

from gateway.settings import Settings

ANSWER_S = 10.0

BESIDE_A_GATEWAY = "not tried beside the connected gateway, whose own connection that can end: stop it first"


async def holds_the_connection(settings: Settings) -> bool:
    """True if our connection could end that of a running gateway. A gateway that is not connected loses
    nothing."""
    named = bool(settings.mqtt_username or settings.mqtt_cert_file)
    return named and settings.port != 0 and await asyncio.to_thread(_is_connected, settings)


def _is_connected(settings: Settings) -> bool:
    try:
        _, told = get(settings, "/ready")
    except (OSError, http.client.HTTPException):
        return False
    return isinstance(told, dict) and told.get("broker") == "connected"


def get(settings: Settings, path: str) -> tuple[int, Any]:
    """Ask the program at HOST and PORT. Returns the status, and the JSON of the body or None.

    Raises OSError and HTTPException.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=ANSWER_S)
    try:
        connection.request("GET", f"{settings.root_path}{path}")
        response = connection.getresponse()
        body = response.read(65_536)
    finally:
        connection.close()
    try:
        return response.status, json.loads(body)
    except ValueError:
        return response.status, None
