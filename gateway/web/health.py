"""Whether the process lives, whether it can serve, and a plain page that says so to people."""

import asyncio
import time
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from gateway.contract.errors import StorageFailed
from gateway.web.gateway import Gateway

_PAGE = (Path(__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


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


def health_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["health"])
    started_at = time.monotonic()

    @router.get("/health")
    async def health() -> dict[str, str]:
        """200 while the process lives."""
        return {"status": "ok", "version": gateway.version}

    @router.get("/ready")
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

    @router.get("/api/metrics")
    async def metrics() -> dict[str, Any]:
        """What the gateway holds right now, for a panel that polls."""
        return {
            "gateway": {
                "status": "up",
                "uptime": round(time.monotonic() - started_at, 1),
                "runs": len(gateway.runs),
                "streams": len(gateway.pulse),
                "listeners": len(gateway.news),
                "journalBytes": gateway.journal.bytes,
                "tasks": len(asyncio.all_tasks()),
            },
            "mode": gateway.modes.mode,
            "breakers": gateway.modes.breakers(),
        }

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        problems, _ = await readiness(gateway)
        state = "ready" if not problems else "; ".join(problems)
        models = ", ".join(gateway.modes.models()) or "not known yet"
        html = (
            _PAGE.replace("{{mode}}", escape(gateway.modes.mode))
            .replace("{{state}}", escape(state))
            .replace("{{models}}", escape(models))
            .replace("{{version}}", escape(gateway.version))
        )
        return HTMLResponse(html, headers=PAGE_HEADERS)

    return router
