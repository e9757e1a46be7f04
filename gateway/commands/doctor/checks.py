"""All checks by name, in the order in which they run. A new check is a function and a line here."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from gateway.commands.doctor.broker import broker
from gateway.commands.doctor.broker_rights import broker_rights
from gateway.commands.doctor.clock import clock
from gateway.commands.doctor.database import database
from gateway.commands.doctor.disk_space import disk_space
from gateway.commands.doctor.files import files
from gateway.commands.doctor.findings import Check, Finding, failure
from gateway.commands.doctor.gateways import gateways
from gateway.commands.doctor.issuer import issuer
from gateway.commands.doctor.listening import listening
from gateway.commands.doctor.model_servers import model_servers
from gateway.commands.doctor.redis import redis
from gateway.commands.doctor.workers import workers
from gateway.settings import Settings

CHECK_S = 120.0
"""Maximum seconds of one check. Each has shorter deadlines of its own."""

CHECKS: dict[str, Check] = {
    "files": files,
    "database": database,
    "disk space": disk_space,
    "clock": clock,
    "listening": listening,
    "gateways": gateways,
    "issuer": issuer,
    "redis": redis,
    "model servers": model_servers,
    "broker": broker,
    "broker rights": broker_rights,
    "workers": workers,
}


async def run_checks(settings: Settings) -> AsyncIterator[tuple[str, Finding]]:
    """Yield each check's name with each of its findings, as soon as they are there."""
    for name, check in CHECKS.items():
        for finding in await _findings(check, settings):
            yield name, finding


async def _findings(check: Check, settings: Settings) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(CHECK_S):
            return await check(settings)
    except TimeoutError:
        return [failure(f"gave no result within {CHECK_S:g} s", "sluice doctor")]
    except Exception as error:  # noqa: BLE001  an error of one check must not hide the results of the others
        return [
            failure(
                f"could not be checked: {type(error).__name__}: {error}",
                "sluice doctor --json, and report its output",
            )
        ]
