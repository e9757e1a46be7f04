"""Checks the address that the gateway listens on: the gateway itself, another program, or nothing."""

import asyncio
import errno
import http.client
import socket
from collections.abc import Sequence
from shlex import quote

from gateway.commands.admin_client import url_of_settings
from gateway.commands.doctor.findings import Finding, failure, ok, warning
from gateway.commands.doctor.running_gateway import get
from gateway.process.listeners import clients_port_serves, host_and_port_of
from gateway.settings import Settings
from gateway.store.inspection import psql_of, sqlite_path
from gateway.version import VERSION


async def listening(settings: Settings) -> Sequence[Finding]:
    """Ask for /health and /ready, or find out if the address can be used, and that of INTERNAL_URL."""
    if settings.port == 0:
        return [ok("PORT=0: any free port"), *_internal(settings)]
    return [*await asyncio.to_thread(_listening, settings), *_internal(settings)]


def _listening(settings: Settings) -> Sequence[Finding]:
    url = url_of_settings(settings)
    where = f"HOST={settings.host} PORT={settings.port}"
    stop_other = f"sudo ss -ltnp 'sport = :{settings.port}' names it; stop it, or choose another PORT"
    try:
        status, told = get(settings, "/health")
    except ConnectionRefusedError:
        return [_free(settings, where, stop_other)]
    except (OSError, http.client.HTTPException) as error:
        return [failure(f"{where}: a program listens there, and it is no gateway: {error}", stop_other)]
    if status != 200 or not isinstance(told, dict) or told.get("status") != "ok" or "version" not in told:
        return [failure(f"{where}: another program than a gateway listens there", stop_other)]
    findings = [_version(url, str(told["version"]))]
    try:
        status, told = get(settings, "/ready")
    except (OSError, http.client.HTTPException) as error:
        return [
            *findings,
            failure(f"the gateway does not answer /ready: {error}", "systemctl restart sluice-gateway"),
        ]
    if status != 200 and isinstance(told, dict):
        missing = "; ".join(map(str, told.get("missing") or [told.get("detail", status)]))
        findings.append(failure(f"the running gateway is not ready: {missing}", _mend(settings, missing)))
    return findings


def _mend(settings: Settings, missing: str) -> str:
    if missing.startswith("mode "):
        return "sluice mode; sluice workers list; and switch, or start or enable what is missing"
    if not missing.startswith("database: "):
        return f"curl {url_of_settings(settings)}/ready until it has stopped, and start it again"
    file = sqlite_path(settings.database_url)
    if file is None:
        return f"{psql_of(settings.database_url)}, and the log of the PostgreSQL server"
    return (
        f"sudo fuser -v {quote(str(file))}; end all programs but sluice, or mend what other lines here name"
    )


def _version(url: str, running: str) -> Finding:
    if running != VERSION:
        return warning(
            f"a gateway of version {running} listens at {url}, and {VERSION} is installed",
            "systemctl restart sluice-gateway",
        )
    return ok(f"a gateway of version {running} listens at {url}")


def _free(settings: Settings, where: str, stop_other: str) -> Finding:
    try:
        _bind(settings.host, settings.port)
    except OSError as error:
        if _is_elsewhere(error):
            return failure(
                f"HOST={settings.host} is not an address of this machine", "ip -brief address, and set HOST"
            )
        if error.errno == errno.EACCES:
            return failure(
                f"{where}: only root may listen on this port", "PORT=8000, behind a proxy on port 443"
            )
        return failure(f"{where} cannot be used: {error.strerror}", stop_other)
    return ok(f"{where} is free: no gateway is running")


def _internal(settings: Settings) -> Sequence[Finding]:
    url = settings.internal_url
    if not url or sqlite_path(settings.database_url) or clients_port_serves(settings, settings.port):
        return []
    host, _ = host_and_port_of(url)
    try:
        _bind(host, 0)  # a running gateway has the port
    except OSError as error:
        if _is_elsewhere(error):
            wrong = f"INTERNAL_URL={url} is not an address of this machine: no gateway can start"
            return [failure(wrong, "ip -brief address, and set INTERNAL_URL to one of these, with a port")]
    return []


def _bind(host: str, port: int) -> None:
    """Raises OSError if a gateway cannot listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _is_elsewhere(error: OSError) -> bool:
    return isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
