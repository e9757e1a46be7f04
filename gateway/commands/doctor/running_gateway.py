"""Asks the running gateway with these settings what the checks cannot see beside it.

A broker can use a client's username as its client id, as with the shipped mosquitto.conf. There a second
connection with the gateway's credentials ends the gateway's own, and with it the replies of all workers.
"""

import asyncio
import http.client
import json
import os
from collections.abc import Mapping
from typing import Any

from gateway.settings import Settings

ANSWER_S = 10.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024


class NotShown(Exception):
    """The running gateway does not show its state. The text says why."""


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


async def shown_by_gateway(settings: Settings, path: str) -> Any:
    """Return the JSON of an endpoint for administrators, with the key in SLUICE_API_KEY. Raises NotShown."""
    key = os.environ.get("SLUICE_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        status, told = await asyncio.to_thread(get, settings, path, headers)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotShown(f"the running gateway does not answer {path}: {error}") from error
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise NotShown("only the running gateway can tell, to a key with scope admin: set SLUICE_API_KEY")
    if status != http.client.OK:
        raise NotShown(f"the running gateway answers {status} to {path}")
    return told


def get(settings: Settings, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Ask the program at HOST and PORT. Returns the status, and the JSON of the body or None.

    Raises OSError and HTTPException.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=ANSWER_S)
    try:
        connection.request(
            "GET", f"{settings.root_path}{path}", headers={**asked_host(settings), **(headers or {})}
        )
        response = connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES)
    finally:
        connection.close()
    try:
        return response.status, json.loads(body)
    except ValueError:
        return response.status, None


def asked_host(settings: Settings) -> Mapping[str, str]:
    """Return the header Host under which a gateway with these settings answers also without API keys."""
    return {"Host": settings.allowed_hosts[0]}
