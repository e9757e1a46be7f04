"""What the endpoints work with: the core's parts and the few settings they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.journal import Journal
from gateway.contract.store import MessageStore
from gateway.contract.templates import TemplateStore
from gateway.contract.transport import Health, ServerInfo, WorkerInfo
from gateway.contract.usage import UsageStore
from gateway.core.conversations import Conversations
from gateway.core.keys import KeyRing
from gateway.core.mirrors import Mirrors
from gateway.core.pacing import Pace
from gateway.core.rate_limits import RequestRates, StreamPlaces
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.tickets import Tickets
from gateway.web.http.sse_writer import Pulse


class Modes(Protocol):
    """What is told of the current mode: gateway.core.mode_selector, as far as it is needed here."""

    mode: str

    def models(self) -> tuple[str, ...]: ...

    def servers(self) -> Sequence[ServerInfo]: ...

    def breakers(self) -> Mapping[str, str]: ...

    async def health(self) -> Health: ...

    async def health_of(self, name: str) -> Health: ...


@dataclass(frozen=True, slots=True)
class Services:
    """pace, word_pace: of whole replies, by their dialect. max_attachment_bytes: of one image, sound or
    file. max_message_bytes: of a request that may have such. max_body_bytes: of any other request.
    body_timeout_s: how long nothing of it may come. workers: all that all transports know."""

    conversations: Conversations
    runs: Runs
    store: MessageStore
    templates: TemplateStore
    usage: UsageStore
    modes: Modes
    pulse: Pulse
    tickets: Tickets
    keys: KeyRing
    rates: RequestRates
    listeners: StreamPlaces
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
    workers: Callable[[], Sequence[WorkerInfo]] = list
