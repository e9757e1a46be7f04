"""Who works for this gateway behind a broker, under /api/chatbot."""

from collections.abc import Sequence

from fastapi import APIRouter

from gateway.contract.transport import WorkerInfo
from gateway.web.services import Services


def workers_router(gateway: Services) -> APIRouter:
    router = APIRouter(prefix="/api/chatbot", tags=["workers"])

    @router.get("/workers")
    async def list_workers() -> Sequence[WorkerInfo]:
        """Every MQTT worker that is known now, by name; none without MQTT."""
        return gateway.workers()

    return router
