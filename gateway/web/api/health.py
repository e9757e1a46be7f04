"""Liveness (`/health`) and readiness (`/ready`)."""

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
from gateway.web.description.schemas import sometimes
from gateway.web.services import Services

HEALTH_AGE_S = 1.0


class LastHealth:
    """Caches the result of a health check for HEALTH_AGE_S seconds.

    Pages that need no key use it, and must not cause more requests to the model server.

    Args:
        ask: performs the check.
        clock: seconds, monotonic.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Health]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = asyncio.Lock()
        self._told = Health(False, "not checked yet")
        self._told_at = float("-inf")

    async def ask(self) -> Health:
        """Return the latest result. Concurrent calls share one check."""
        async with self._asking:
            if self._clock() - self._told_at > HEALTH_AGE_S:
                # This result remains if the check is cancelled.
                self._told, self._told_at = Health(False, "does not answer"), self._clock()
                self._told = await self._ask()
                self._told_at = self._clock()
            return self._told


class Readiness:
    """Health checks that the page, /ready and /api/metrics share.

    Attributes:
        started_at: seconds, monotonic.
    """

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self._of_mode: dict[str, LastHealth] = {}
        self.started_at = time.monotonic()

    def of_mode(self, mode: str) -> LastHealth:
        """Return the health of a mode. Each mode has its own, since the current mode may change."""
        if mode not in self._of_mode:
            self._of_mode[mode] = LastHealth(lambda: self._gateway.modes.health_of(mode))
        return self._of_mode[mode]

    async def check(self) -> tuple[list[str], str, str]:
        """Return the problems that keep the gateway from serving, the current mode, and its details."""
        gateway = self._gateway
        mode = gateway.modes.mode
        problems: list[str] = []
        if gateway.runs.draining:
            problems.append("gateway: is stopping")
        try:
            await gateway.store.ping()
        except StorageFailed as error:
            problems.append(f"database: {error}")
        health = await self.of_mode(mode).ask()
        if not health.ok:
            problems.append(f"mode {mode}: {health.detail}")
        return [without_secrets(problem) for problem in problems], mode, without_secrets(health.detail)


async def _readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


ReadinessOf = Annotated[Readiness, Depends(_readiness)]


@dataclass(frozen=True, slots=True)
class Alive:
    status: Literal["ok"]
    version: str


BrokerState = Literal["connected", "away"]


@dataclass(frozen=True, slots=True)
class Ready:
    """detail: state of the current mode. broker: absent without an MQTT broker."""

    status: Literal["ready"]
    mode: str
    detail: str
    broker: Annotated[BrokerState, sometimes()]


@dataclass(frozen=True, slots=True)
class NotReady:
    """missing: one sentence for each problem. broker: absent without an MQTT broker."""

    status: Literal["unavailable"]
    mode: str
    missing: list[str]
    broker: Annotated[BrokerState, sometimes()]


async def health(gateway: Gateway) -> Alive:
    return Alive("ok", gateway.version)


async def ready(gateway: Gateway, readiness: ReadinessOf) -> JSONResponse:
    problems, mode, detail = await readiness.check()
    watch = gateway.broker
    broker = {} if watch is None else {"broker": "connected" if watch.connected else "away"}
    if problems:
        return JSONResponse(
            {"status": "unavailable", "mode": mode, "missing": problems, **broker},
            status_code=503,
            headers={"retry-after": "2"},
        )
    return JSONResponse({"status": "ready", "mode": mode, "detail": detail, **broker})
