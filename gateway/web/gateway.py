"""What the endpoints work with: the core's parts and the few settings they need."""

from dataclasses import dataclass
from typing import Protocol

from gateway.contract.journal import Journal
from gateway.contract.store import MessageStore
from gateway.contract.transport import Health
from gateway.core.conversations import Conversations
from gateway.core.pacing import Pace
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.tickets import Tickets
from gateway.web.event_stream import Pulse


class Modes(Protocol):
    """What is told of the current mode: gateway.core.selector, as far as it is needed here."""

    mode: str

    def models(self) -> tuple[str, ...]: ...

    async def health(self) -> Health: ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """max_body_bytes: of any request."""

    conversations: Conversations
    runs: Runs
    store: MessageStore
    modes: Modes
    pulse: Pulse
    tickets: Tickets
    news: SessionNews
    journal: Journal
    pace: Pace
    max_content_chars: int
    max_body_bytes: int
    version: str
