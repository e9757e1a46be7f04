"""`GET /api/metrics`: the figures of the live panel, which asks for them every few seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.contract.transport import Health, WorkerInfo
from gateway.web.gateway import Gateway

HEALTH_AGE_S = 2.0
HEALTH_WAIT_S = 1.0
"""A model server or broker that takes longer to say how it is counts as down."""

State = Literal["up", "down"]


class _Figures(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class GatewayFigures(_Figures):
    status: State
    uptime: Annotated[float, Field(description="Seconds.")]
    runs: Annotated[int, Field(description="Replies in the making.")]
    streams: Annotated[int, Field(description="Connections that read one.")]
    listeners: Annotated[int, Field(description="Listeners to session events.")]
    journal_bytes: int
    tasks: int


class ModelFigures(_Figures):
    """status: whether the current mode could answer now. models: that can be asked for in it."""

    status: State
    models: Sequence[str]


class MqttFigures(BaseModel):
    """status: down without a broker, and while no worker is ready."""

    status: State
    workers: Sequence[WorkerInfo]


class MemoryFigures(_Figures):
    chunks: Annotated[int, Field(description="Messages that are kept.")]
    size_bytes: Annotated[int, Field(description="Of the database.")]


class SessionFigures(_Figures):
    active: Annotated[int, Field(description="With a reply in the making.")]
    total: int


class Stats(_Figures):
    """Today is since midnight UTC. Means are over the latest 100 complete replies, 0 where there is none."""

    messages_today: Annotated[int, Field(alias="messagestoday", description="Answered ones, and answers.")]
    tool_calls: Annotated[int, Field(description="Today.")]
    avg_response_ms: float
    tokens_per_second: float
    ttft_ms: Annotated[float, Field(description="Mean time to the first token.")]


class Metrics(_Figures):
    """ollama: the same as llm, for panels that look there."""

    gateway: GatewayFigures
    llm: ModelFigures
    ollama: ModelFigures
    mqtt: MqttFigures
    memory: MemoryFigures
    sessions: SessionFigures
    stats: Stats
    mode: str
    breakers: Annotated[dict[str, str], Field(description="In mode auto, of each transport.")]


class LastHealth:
    """Somebody's health as last told, asked for again when that is old. clock: seconds, monotonic."""

    def __init__(
        self, ask: Callable[[], Awaitable[Health]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = asyncio.Lock()
        self._told = Health(False, "not asked yet")
        self._told_at = float("-inf")

    async def state(self) -> State:
        async with self._asking:
            if self._clock() - self._told_at > HEALTH_AGE_S:
                try:
                    async with asyncio.timeout(HEALTH_WAIT_S):
                        self._told = await self._ask()
                except TimeoutError:
                    self._told = Health(False, "does not answer")
                self._told_at = self._clock()
            return "up" if self._told.ok else "down"


def metrics_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(tags=["health"])
    started_at = time.monotonic()
    current_mode = LastHealth(gateway.modes.health)
    mqtt = LastHealth(lambda: gateway.modes.health_of("mqtt"))

    @router.get("/api/metrics")
    async def metrics() -> Metrics:
        """The whole gateway's figures, for a panel that asks every few seconds."""
        kept = await gateway.usage.figures()
        llm_state, mqtt_state = await asyncio.gather(current_mode.state(), mqtt.state())
        llm = ModelFigures(status=llm_state, models=gateway.modes.models())
        return Metrics(
            gateway=GatewayFigures(
                status="up",
                uptime=round(time.monotonic() - started_at, 1),
                runs=len(gateway.runs),
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
            mode=gateway.modes.mode,
            breakers=dict(gateway.modes.breakers()),
        )

    return router
