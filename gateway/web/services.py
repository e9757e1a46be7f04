"""The services and settings that endpoints use."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.contract.attachments import AttachmentStore
from gateway.contract.audit import AuditLog
from gateway.contract.content import Kind
from gateway.contract.devices import DeviceRegistry
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.identities import Identities
from gateway.contract.journal import Journal
from gateway.contract.limits import Places, Rates
from gateway.contract.requests import ChatRequest
from gateway.contract.simulators import Simulators
from gateway.contract.store import MessageStore
from gateway.contract.templates import TemplateStore
from gateway.contract.traces import NO_TRACES, Traces
from gateway.contract.transport import Health, ServerInfo, WorkerInfo
from gateway.contract.usage import UsageStore
from gateway.core.budgets import Budgets
from gateway.core.conversations import Conversations
from gateway.core.key_ring import KeyRing
from gateway.core.mirrors import Mirrors
from gateway.core.mode_switch import ModeSwitch
from gateway.core.pacing import Pace
from gateway.core.room_hall import RoomHall
from gateway.core.room_posts import RoomPosts
from gateway.core.rooms import Rooms
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.stops import Stops
from gateway.core.tickets import Tickets
from gateway.core.worker_rules import WorkerRules
from gateway.rooms.connections import RoomConnections
from gateway.rooms.event_rates import EventRates
from gateway.telemetry.broker_watch import BrokerWatch
from gateway.telemetry.last_hour import LastHour
from gateway.telemetry.reply_totals import ReplyTotals
from gateway.web.door.proxies import TrustedProxies
from gateway.web.http.body_places import BodyPlaces
from gateway.web.http.held_bodies import HeldBodies
from gateway.web.http.refusal_log import RefusalLog
from gateway.web.http.slow_readers import SlowReaders
from gateway.web.http.sse_writer import Pulse
from gateway.web.relay.relay import Relay


async def _unknown() -> None:
    return None


class Modes(Protocol):
    """The methods of gateway.core.mode_selector.ModeSelector that endpoints use."""

    mode: str

    def models(self) -> tuple[str, ...]: ...
    def context(self) -> int | None: ...

    def accepts(self) -> frozenset[Kind]: ...

    def servers(self) -> Sequence[ServerInfo]: ...

    def breakers(self) -> Mapping[str, str]: ...

    async def embed(self, request: EmbedRequest) -> Embeddings: ...

    async def count_tokens(self, request: ChatRequest) -> int: ...

    async def health_of(self, mode: str) -> Health: ...


@dataclass(frozen=True, slots=True)
class Services:
    """Services and settings, one instance for each gateway.

    Attributes:
        pace: pacing of whole replies that are sent as a stream.
        word_pace: the same, for dialects that send words.
        max_attachment_bytes: maximum size of one image, sound or file.
        max_message_bytes: maximum size of a request that may have attachments.
        max_body_bytes: maximum size of any other request.
        body_timeout_s: maximum seconds for which no data of a request body may arrive.
        reply_deadline_s: maximum seconds for a whole reply, and for embeddings.
        workers: returns the workers that all transports know.
        queued: returns the number of requests that wait for one of them.
        broker, simulators: None without an MQTT broker.
        refused_topics: tries to publish; returns the topics on which the broker refuses it, None if unknown.
        redis_connected: returns True while limits are counted in Redis, None without REDIS_URL.
        relay: to other gateways on the same database; None with SQLite, which has one gateway.
        identities: verifies the tokens of the issuer; None without one.
        event_rates: limits of the events that members of rooms send.
        room_connections: the open sockets of rooms.
        before_stop: called after the last reply has ended: they close what would hold up the server's end.
        older_metric_names: `/metrics` has the GenAI metrics under their older names too.
    """

    conversations: Conversations
    runs: Runs
    stops: Stops
    store: MessageStore
    templates: TemplateStore
    attachments: AttachmentStore
    rooms: Rooms
    hall: RoomHall
    posts: RoomPosts
    usage: UsageStore
    modes: Modes
    mode_switch: ModeSwitch
    audit_log: AuditLog
    devices: DeviceRegistry
    worker_rules: WorkerRules
    proxies: TrustedProxies
    pulse: Pulse
    tickets: Tickets
    keys: KeyRing
    rates: Rates
    budgets: Budgets
    listeners: Places
    news: SessionNews
    journal: Journal
    mirrors: Mirrors
    pace: Pace
    word_pace: Pace
    max_content_chars: int
    max_attachment_bytes: int
    max_message_bytes: int
    max_body_bytes: int
    body_timeout_s: float
    version: str
    reply_deadline_s: float = 120.0
    workers: Callable[[], Sequence[WorkerInfo]] = list
    queued: Callable[[], int] = lambda: 0
    broker: BrokerWatch | None = None
    refused_topics: Callable[[], Awaitable[Sequence[str] | None]] = _unknown
    simulators: Simulators | None = None
    redis_connected: Callable[[], bool | None] = lambda: None
    relay: Relay | None = None
    identities: Identities | None = None
    reply_totals: ReplyTotals = field(default_factory=ReplyTotals)
    last_hour: LastHour = field(default_factory=LastHour)
    slow_readers: SlowReaders = field(default_factory=lambda: SlowReaders(20))
    refusals: RefusalLog = field(default_factory=RefusalLog)
    arriving_bodies: BodyPlaces = field(default_factory=BodyPlaces)
    held_bodies: HeldBodies = field(default_factory=HeldBodies)
    leaving_attachments: BodyPlaces = field(default_factory=BodyPlaces)
    event_rates: EventRates = field(default_factory=lambda: EventRates(20, time.monotonic))
    room_connections: RoomConnections = field(default_factory=RoomConnections)
    before_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    older_metric_names: bool = False
    traces: Traces = NO_TRACES
