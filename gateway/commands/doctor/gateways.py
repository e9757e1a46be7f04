"""Checks that each gateway on the database answers at its INTERNAL_URL, where the others need it."""

import asyncio
import http.client
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from gateway.commands.doctor.findings import Finding, ok, skipped, warning
from gateway.commands.doctor.running_gateway import asked_host
from gateway.contract.errors import StorageFailed
from gateway.settings import Settings
from gateway.store.inspection import inspect_database, sqlite_path

ANSWER_S = 3.0
MAX_ANSWER_BYTES = 64 * 1024


async def gateways(settings: Settings) -> Sequence[Finding]:
    """Ask all of them for /health, at once."""
    if sqlite_path(settings.database_url) is not None:
        return [skipped("a SQLite file has one gateway")]
    try:
        found = (await inspect_database(settings.database_url)).gateways
    except (StorageFailed, ValueError):
        return [skipped("the database cannot be read")]
    if len(found) < 2:
        return [skipped("fewer than two gateways run: none has to reach another one")]
    counts = Counter(found.values())
    headers = asked_host(settings)  # for relays ALLOWED_HOSTS does not matter
    problems = await asyncio.gather(*(_problem(url, counts[url], headers) for url in found.values()))
    wrong = [(name, problem) for name, problem in zip(found, problems, strict=True) if problem]
    if not wrong:
        return [ok(f"{', '.join(found)} answer at their INTERNAL_URL")]
    return [
        warning(
            f"{name} is not reached from this machine: {problem}. A reader of its replies who comes back to "
            "another gateway gets 503",
            f"at {name}: INTERNAL_URL=http://ADDRESS:PORT, its own address as the other machines reach it, "
            "and a port that no firewall closes to them",
        )
        for name, problem in wrong
    ]


async def _problem(url: str | None, count: int, headers: Mapping[str, str]) -> str | None:
    """Return the reason for which a gateway is not reached at its INTERNAL_URL, or None.

    Args:
        url: its INTERNAL_URL.
        count: number of gateways with this URL.
        headers: of the request.
    """
    if url is None:
        return "it has no INTERNAL_URL"
    if count > 1:
        return f"{count} gateways have INTERNAL_URL={url}"
    try:
        is_gateway = await asyncio.to_thread(_is_gateway, url, headers)
    except (OSError, http.client.HTTPException) as error:
        return f"nothing answers at INTERNAL_URL={url}: {str(error) or type(error).__name__}"
    return None if is_gateway else f"another program than a gateway answers at INTERNAL_URL={url}"


def _is_gateway(url: str, headers: Mapping[str, str]) -> bool:
    """Raises OSError and HTTPException."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/health", headers=headers)
        told = json.loads(connection.getresponse().read(MAX_ANSWER_BYTES))
    except ValueError:
        return False
    finally:
        connection.close()
    return isinstance(told, dict) and told.get("status") == "ok" and "version" in told
