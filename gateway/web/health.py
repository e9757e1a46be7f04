"""Whether the process lives, and whether it can serve."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gateway.contract.errors import StorageFailed
from gateway.web.gateway import Gateway


async def readiness(gateway: Gateway) -> tuple[list[str], str]:
    """What keeps the gateway from serving, a sentence each, empty if it can; and how the current mode is."""
    problems: list[str] = []
    if gateway.runs.draining:
        problems.append("gateway: is stopping")
    try:
        await gateway.store.ping()
    except StorageFailed as error:
        problems.append(f"database: {error}")
    health = await gateway.modes.health()
    if not health.ok:
        problems.append(f"mode {gateway.modes.mode}: {health.detail}")
    return problems, health.detail


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
class Unavailable:
    """missing: a sentence for each thing."""

    status: Literal["unavailable"]
    mode: str
    missing: list[str]


def health_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> Alive:
        """200 while the process lives."""
        return Alive("ok", gateway.version)

    @router.get("/ready", response_model=Ready, responses={503: {"model": Unavailable}})
    async def ready() -> JSONResponse:
        """200 when the database answers and the current mode can serve; else 503 with what is missing."""
        problems, detail = await readiness(gateway)
        if problems:
            return JSONResponse(
                {"status": "unavailable", "mode": gateway.modes.mode, "missing": problems},
                status_code=503,
                headers={"retry-after": "2"},
            )
        return JSONResponse({"status": "ready", "mode": gateway.modes.mode, "detail": detail})

    return router
