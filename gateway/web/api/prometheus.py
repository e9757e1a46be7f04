"""`GET /metrics`: the gateway's state and totals for Prometheus."""

import asyncio
import time
from collections import Counter

from fastapi import Response

from gateway.contract.errors import StorageFailed
from gateway.contract.transport import WorkerInfo
from gateway.telemetry.exposition import MEDIA_TYPE, exposition
from gateway.telemetry.readings import Readings
from gateway.web.api.dependencies import Gateway
from gateway.web.api.health import Readiness, ReadinessOf
from gateway.web.services import Services

WAIT_S = 1.0
"""Maximum seconds for the health check and for the database's size: a scrape has its own deadline."""

WORKER_STATES = ("ready", "full", "set_aside", "draining", "disabled")


async def prometheus(gateway: Gateway, readiness: ReadinessOf) -> Response:
    now = await _readings(gateway, readiness)
    body = exposition(gateway.reply_totals, now, older_names=gateway.older_metric_names)
    return Response(body, media_type=MEDIA_TYPE)


async def _readings(gateway: Services, readiness: Readiness) -> Readings:
    mode = gateway.modes.mode
    mode_ready, database_writable, database_bytes = await asyncio.gather(
        _is_ready(readiness, mode), _is_writable(gateway), _database_bytes(gateway)
    )
    workers = gateway.workers()
    states = Counter(map(_state, workers))
    running = gateway.runs.all()
    limits = {
        "requests": gateway.rates.refused,
        "tokens": gateway.budgets.refused,
        "streams": gateway.conversations.places.refused + gateway.listeners.refused,
    }
    broker = gateway.broker
    return Readings(
        version=gateway.version,
        uptime_s=time.monotonic() - readiness.started_at,
        mode=mode,
        mode_ready=mode_ready,
        draining=gateway.runs.draining,
        running=len(running),
        streams=len(gateway.pulse),
        readers=sum(run.readers for run in running),
        journal_bytes=gateway.journal.bytes,
        queued=gateway.queued(),
        workers={state: states[state] for state in WORKER_STATES},
        worker_requests=sum(worker.open for worker in workers),
        broker=None if broker is None else broker.connected,
        broker_lost=0 if broker is None else broker.lost,
        breakers=gateway.modes.breakers(),
        redis=gateway.redis_connected(),
        writes=gateway.usage.writes(),
        database_writable=database_writable,
        database_bytes=database_bytes,
        resumes=gateway.pulse.resumed,
        readers_lost=gateway.pulse.lost,
        slow_readers_cut=gateway.slow_readers.cut,
        key_tokens={
            str(key_id): (gateway.budgets.used(key_id), limit)
            for key_id, limit in gateway.keys.token_limits().items()
        },
        refused={
            (limit, user_class): refused[user_class]
            for limit, refused in limits.items()
            for user_class in ("user", "key")
        },
    )


async def _is_ready(readiness: Readiness, mode: str) -> bool:
    try:
        async with asyncio.timeout(WAIT_S):
            return (await readiness.of_mode(mode).ask()).ok
    except TimeoutError:
        return False


async def _is_writable(gateway: Services) -> bool:
    """Try a change if there was none for a second: without requests, nothing else notices a failure."""
    try:
        await gateway.store.ping()
    except StorageFailed:
        return False
    return True


async def _database_bytes(gateway: Services) -> int | None:
    try:
        async with asyncio.timeout(WAIT_S):
            return await gateway.usage.database_bytes()
    except (StorageFailed, TimeoutError):
        return None


def _state(worker: WorkerInfo) -> str:
    """Return one of WORKER_STATES, the one that matters most for whether it gets requests."""
    if worker.disabled:
        return "disabled"
    if worker.state == "draining":
        return "draining"
    if worker.set_aside:
        return "set_aside"
    return "full" if worker.full or worker.busy >= worker.max else "ready"
