"""The seam: a transport brings the reply to one ChatRequest from wherever models live.

Adding one touches `transports/<name>/`, one line of assembly and one rig of the contract suite.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from gateway.contract.events import Done, Granularity, TransportEvent
from gateway.contract.requests import ChatRequest

Hear = Callable[[Sequence[TransportEvent]], Awaitable[None] | None]
"""Takes all events of one network read, at least one, and is called from within that read.

It returns at once. If it returns an awaitable, the transport reads no more of this reply until that is done;
what the awaitable raises ends the reply.
"""


@dataclass(frozen=True, slots=True)
class TransportInfo:
    """name: what `mode` says on the wire ("sse", "mqtt"). granularity: what a reply is expected to be."""

    name: str
    granularity: Granularity


@dataclass(frozen=True, slots=True)
class Health:
    """ok: a reply could start now. detail: one sentence; what is missing if not ok."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker behind a transport: what it last said, and what we make of it.

    stream: answers token by token. max, busy: requests it takes at once and has, by its own word. open: ours
    among them. incarnation: grows with each of its starts, 0 if it does not tell. heartbeat_s: how often it
    promised to be heard, None for never. last_heard_s: how long ago that was. set_aside: it let a request
    lie or answered rubbish, and gets none for a while. full: it refused one, and gets none until it says
    something new.
    """

    name: str
    state: Literal["ready", "draining"]
    models: Sequence[str]
    stream: bool
    max: int
    busy: int
    open: int
    incarnation: int
    heartbeat_s: float | None
    last_heard_s: float
    set_aside: bool
    full: bool


class Transport(Protocol):
    @property
    def info(self) -> TransportInfo: ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Connection and background tasks, for as long as the block lasts; entered once."""
        ...

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        """Make one reply: push its events to `hear` as they arrive, and return when it is complete.

        Cancelling the call is the stop: whatever the other side holds for this reply is freed. One more read
        may be heard between the cancelling and the end of the call. A reply that arrives in one piece is not
        pushed but returned with Done. No transport sleeps to look alive.

        Raises TransportError, or RequestRejected (ModelRefused, TooLarge, ...) when the request itself is at
        fault; what `hear` raises comes out unchanged. A TransportError says in `broke_off` how many servers
        took the request whole before they broke off or fell silent; a transport that can ask several by
        itself obeys `ask_again`.
        """
        ...


@runtime_checkable
class AdmitsRequests(Protocol):
    """A transport that knows at once whether a reply could start."""

    def admit(self, model: str | None) -> TransportInfo:
        """What a request for `model` would meet now; raises NoWorker, Unreachable, ... when nothing would."""
        ...


@runtime_checkable
class ChecksRequests(Protocol):
    """A transport that cannot carry every request."""

    def check(self, request: ChatRequest) -> None:
        """Raises TooLarge or Unprocessable for what cannot be sent; the request's session may be missing."""
        ...


@runtime_checkable
class ReportsHealth(Protocol):
    async def health(self) -> Health:
        """Ask the other side; never raises, answers within a few seconds."""
        ...


@runtime_checkable
class ListsModels(Protocol):
    def models(self) -> Sequence[str]:
        """Names that can be asked for, the default first, as last heard; empty while unknown."""
        ...


@runtime_checkable
class ListsWorkers(Protocol):
    def list_workers(self) -> Sequence[WorkerInfo]:
        """Everybody who could be asked or soon might be, by name."""
        ...


@runtime_checkable
class AnnouncesDraining(Protocol):
    def drain(self) -> None:
        """Tell whoever is on the other side that no new requests will come; what runs goes on."""
        ...


@runtime_checkable
class TellsQueue(Protocol):
    def place_in_queue(self, model: str | None) -> int:
        """Where a request for `model` would stand, as far as we know: 0 starts at once, 1 is next."""
        ...
