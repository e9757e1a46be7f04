"""The events of `GET /api/admin/live`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from gateway.contract.transport import ServerInfo
from gateway.core.mirrors import Presence
from gateway.web.api.admin.mode import ModeStateView
from gateway.web.api.admin.streams import StreamView
from gateway.web.api.admin.workers import RuledWorkerView

Seconds = Annotated[float, Field(description="Seconds since the epoch.")]


class GatewayState(BaseModel):
    """The gateway itself. streams: open event streams: of replies, sessions, rooms and live views."""

    status: Literal["up", "draining"]
    version: str
    started_at: Seconds
    mode: str
    running: Annotated[int, Field(description="Replies that are being generated.")]
    queued: Annotated[int, Field(description="Requests that wait for a worker.")]
    streams: int


class BrokerState(BaseModel):
    """The connection to the MQTT broker. lost: number of times that it was lost."""

    connected: bool
    lost: int


class DatabaseState(BaseModel):
    ok: Annotated[bool, Field(description="True if it accepts changes.")]
    detail: str


class DeviceState(BaseModel):
    """A registered device. presence: `unknown` if this gateway has not heard it since its start."""

    name: str
    user: str
    presence: Presence


class LiveStream(StreamView):
    """A running reply, and its speed since the state before."""

    chars_per_s: float
    tokens_per_s: Annotated[
        float, Field(description="Events of the reply: fewer than tokens if several arrive in one read.")
    ]


class FailureView(BaseModel):
    """A reply that failed. advice: what an administrator can do."""

    at: Seconds
    code: str
    reason: str
    message: str
    advice: str
    mode: str
    transport: str
    model: str | None
    dialect: str


class StateEvent(BaseModel):
    """The whole state. Health checks are at most five seconds old.

    servers: the model servers, if LLM_SERVER_URL names several. broker: null without MQTT. streams: the
    oldest 200 of `gateway.running`. failures: the latest first.
    """

    type: Literal["state"] = "state"
    gateway: GatewayState
    modes: Sequence[ModeStateView]
    breakers: Mapping[str, str]
    servers: Sequence[ServerInfo]
    broker: BrokerState | None
    database: DatabaseState
    workers: Sequence[RuledWorkerView]
    devices: Sequence[DeviceState]
    streams: Sequence[LiveStream]
    failures: Sequence[FailureView]


class MinuteView(BaseModel):
    """The replies that ended in one minute. Means are null without a reply that has the figure."""

    at: Seconds
    replies: int
    errors: Annotated[Mapping[str, int], Field(description="Failed replies by reason.")]
    tokens: Annotated[int, Field(description="Generated tokens.")]
    ttft_ms: Annotated[float | None, Field(description="Mean time to the first content.")]
    tokens_per_s: Annotated[float | None, Field(description="Mean speed of a reply.")]


class HourEvent(BaseModel):
    """Minutes of the last hour in which replies ended: first all of them, then those that have changed."""

    type: Literal["hour"] = "hour"
    minutes: Sequence[MinuteView]


class LiveEvent(RootModel[Annotated[StateEvent | HourEvent, Field(discriminator="type")]]):
    """One `data:` of the live state."""
