"""`GET /api/chatbot/workers`: the MQTT workers."""

from collections.abc import Sequence

from gateway.contract.transport import WorkerInfo
from gateway.web.api.dependencies import Gateway


async def list_workers(gateway: Gateway) -> Sequence[WorkerInfo]:
    return gateway.workers()
