"""Whether the process lives, and whether it can serve."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gateway.contract.errors import StorageFailed
from gateway.contract.secrets import without_secrets
from gateway.contract.transport import Health
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
    """health: of the current mode."""

    def __init__(self, gateway: Services, health: LastHealth) -> None:
        self._gateway = gateway
        self._health = health

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
        health = await self._health.ask()
        if not health.ok:
            problems.append(f"mode {gateway.modes.mode}: {health.detail}")
        return [without_secrets(problem) for problem in problems], without_secrets(health.detail)


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


def health_router(gateway: Services, readiness: Readiness) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> Alive:
        """200 while the process lives."""
        return Alive("ok", gateway.version)

    @router.get("/ready", response_model=Ready, responses={503: {"model": NotReady}})
    async def ready() -> JSONResponse:
        """200 when the database takes changes and the current mode can serve; else 503 with what is missing.
        What is found out holds for a second."""
        problems, detail = await readiness.check()
        if problems:
            return JSONResponse(
                {"status": "unavailable", "mode": gateway.modes.mode, "missing": problems},
                status_code=503,
                headers={"retry-after": "2"},
            )
        return JSONResponse({"status": "ready", "mode": gateway.modes.mode, "detail": detail})

    return router
