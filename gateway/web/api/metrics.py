"""`GET /api/metrics`: figures for a monitoring panel that polls every few seconds."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.contract.record import replace
from gateway.contract.secrets import without_secrets
from gateway.contract.transport import ServerInfo, WorkerInfo
from gateway.web.api.dependencies import Gateway
from gateway.web.api.health import LastHealth, ReadinessOf

HEALTH_WAIT_S = 1.0

State = Literal["up", "down"]


class _Figures(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class GatewayFigures(_Figures):
    status: State
    uptime: Annotated[float, Field(description="Seconds.")]
    runs: Annotated[int, Field(description="Replies that are being generated.")]
    ended: Annotated[int, Field(description="Replies that have ended since the start.")]
    failed: Annotated[int, Field(description="Those of them that ended with an error.")]
    streams: Annotated[int, Field(description="Event streams of replies, sessions, rooms and live views.")]
    listeners: Annotated[int, Field(description="Open streams of session events.")]
    journal_bytes: int
    tasks: int


class ModelFigures(_Figures):
    """status: `up` if the current mode can answer now. models: names available in it. context_tokens: of a
    conversation with its reply, 0 if no model server reports them. servers: the model servers, if
    LLM_SERVER_URL names several.
    """

    status: State
    models: Sequence[str]
    context_tokens: int = 0
    servers: Sequence[ServerInfo] = ()


class MqttFigures(BaseModel):
    """status: `down` without a broker, and while no worker is ready."""

    status: State
    workers: Sequence[WorkerInfo]


class MemoryFigures(_Figures):
    chunks: Annotated[int, Field(description="Stored messages.")]
    size_bytes: Annotated[int, Field(description="Size of the database.")]


class SessionFigures(_Figures):
    active: Annotated[int, Field(description="Sessions with a reply that is being generated.")]
    total: int


class Stats(_Figures):
    """Today begins at midnight UTC. Means cover the latest 100 complete replies, and are 0 without any."""

    messages_today: Annotated[
        int, Field(alias="messagestoday", description="Answered messages and their replies.")
    ]
    tool_calls: Annotated[int, Field(description="Today.")]
    avg_response_ms: float
    tokens_per_second: float
    ttft_ms: Annotated[float, Field(description="Mean time to the first token.")]


class Metrics(_Figures):
    """ollama: the same as llm, for panels that read this name."""

    gateway: GatewayFigures
    llm: ModelFigures
    ollama: ModelFigures
    mqtt: MqttFigures
    memory: MemoryFigures
    sessions: SessionFigures
    stats: Stats
    mode: str
    breakers: Annotated[
        dict[str, str], Field(description="State of each transport's circuit breaker, in mode auto.")
    ]


async def _state(health: LastHealth) -> State:
    """Return `up` if the check succeeds within HEALTH_WAIT_S seconds."""
    try:
        async with asyncio.timeout(HEALTH_WAIT_S):
            return "up" if (await health.ask()).ok else "down"
    except TimeoutError:
        return "down"


async def metrics(gateway: Gateway, readiness: ReadinessOf) -> Metrics:
    kept = await gateway.usage.figures()
    mode = gateway.modes.mode
    llm_state, mqtt_state = await asyncio.gather(*map(_state, map(readiness.of_mode, (mode, "mqtt"))))
    servers = [
        replace(server, url=without_secrets(server.url), detail=without_secrets(server.detail))
        for server in gateway.modes.servers()
    ]
    llm = ModelFigures(
        status=llm_state,
        models=gateway.modes.models(),
        context_tokens=gateway.modes.context() or 0,
        servers=servers,
    )
    return Metrics(
        gateway=GatewayFigures(
            status="up",
            uptime=round(time.monotonic() - readiness.started_at, 1),
            runs=len(gateway.runs),
            ended=gateway.reply_totals.replies.total(),
            failed=gateway.reply_totals.failed,
            streams=len(gateway.pulse),
            listeners=len(gateway.news),
            journal_bytes=gateway.journal.bytes,
            tasks=len(asyncio.all_tasks()),
        ),
        llm=llm,
        ollama=llm,
        mqtt=MqttFigures(status=mqtt_state, workers=gateway.workers()),
        memory=MemoryFigures(chunks=kept.messages, size_bytes=kept.database_bytes),
        sessions=SessionFigures(active=gateway.runs.count_sessions(), total=kept.sessions),
        stats=Stats(
            messages_today=2 * kept.replies_today,
            tool_calls=kept.tool_calls_today,
            avg_response_ms=round(kept.response_ms, 1),
            tokens_per_second=round(kept.tokens_per_s, 1),
            ttft_ms=round(kept.ttft_ms, 1),
        ),
        mode=mode,
        breakers=dict(gateway.modes.breakers()),
    )
