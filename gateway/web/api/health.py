"""Liveness and readiness: does the process run, and can it serve."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from gateway.contract.errors import StorageFailed
from gateway.contract.secrets import without_secrets
from gateway.contract.transport import Health
from gateway.web.api.dependencies import Gateway
from gateway.web.services import Services

HEALTH_AGE_S = 1.0


class LastHealth:
    """The latest answer to a question about health, asked again when it is HEALTH_AGE_S old.

    These pages need no key: they must not let anybody ask the model server more often than that.
    clock: seconds, monotonic.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Health]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = asyncio.Lock()
        self._told = Health(False, "not asked yet")
        self._told_at = float("-inf")

    async def ask(self) -> Health:
        """However many ask at once, one question goes out."""
        async with self._asking:
            if self._clock() - self._told_at > HEALTH_AGE_S:
                # Also true where we are cancelled before the answer is here.
                self._told, self._told_at = Health(False, "does not answer"), self._clock()
                self._told = await self._ask()
                self._told_at = self._clock()
            return self._told


class Readiness:
    """The answers of /health, /ready and the metrics, which share what they ask the transports.

    current_mode, mqtt: the health of the current mode, and of mode mqtt. started_at: seconds, monotonic.
    """

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self.current_mode = LastHealth(gateway.modes.health)
        self.mqtt = LastHealth(lambda: gateway.modes.health_of("mqtt"))
        self.started_at = time.monotonic()

    async def check(self) -> tuple[list[str], str]:
        """What keeps the gateway from serving, a sentence each, empty if it can; and how the mode is."""
        gateway = self._gateway
        problems: list[str] = []
        if gateway.runs.draining:
            problems.append("gateway: is stopping")
        try:
            await gateway.store.ping()
        except StorageFailed as error:
            problems.append(f"database: {error}")
        health = await self.current_mode.ask()
        if not health.ok:
            problems.append(f"mode {gateway.modes.mode}: {health.detail}")
        return [without_secrets(problem) for problem in problems], without_secrets(health.detail)


async def _readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


ReadinessOf = Annotated[Readiness, Depends(_readiness)]


@dataclass(frozen=True, slots=True)
class Alive:
    status: Literal["ok"]
    version: str


@dataclass(frozen=True, slots=True)
class Ready:
    """detail: how the current mode can serve."""

    status: Literal["ready"]
    mode: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotReady:
    """missing: a sentence for each thing."""

    status: Literal["unavailable"]
    mode: str
    missing: list[str]


async def health(gateway: Gateway) -> Alive:
    return Alive("ok", gateway.version)


async def ready(gateway: Gateway, readiness: ReadinessOf) -> JSONResponse:
    problems, detail = await readiness.check()
    if problems:
        return JSONResponse(
            {"status": "unavailable", "mode": gateway.modes.mode, "missing": problems},
            status_code=503,
            headers={"retry-after": "2"},
        )
    return JSONResponse({"status": "ready", "mode": gateway.modes.mode, "detail": detail})
