"""The seam: a transport brings the reply to one ChatRequest from wherever models live.

Adding one touches `transports/<name>/`, one line of assembly and one rig of the contract suite.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.contract.accepts import ALL_KINDS
from gateway.contract.content import Kind
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


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """One model server of several behind a transport, as it was when it was last asked.

    Args:
        url: its address.
        ok: a reply could start there.
        detail: one sentence; what is missing if not ok.
        models: names that it listed, kept while it is away.
        slots: replies that it makes at a time.
        open: our replies there.
    """

    url: str
    ok: bool
    detail: str
    models: Sequence[str]
    slots: int
    open: int


async def _always_well() -> Health:
    return Health(True, "always there")


def _carries_all(_: ChatRequest) -> None:
    """The check of a transport that can carry every request."""


async def _untold() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Abilities:
    """The things that only some transports can do, each with the answer of one that cannot.

    No code tests a transport's type: each transport gives its own functions here, and a pool in front of
    others passes theirs on or combines them. The value stays the same for the transport's life.

    Args:
        health: asks the other side; never raises, answers within a few seconds.
        models: names that can be asked for, the default first, as last heard; empty while unknown.
        admit: what a request for a model would meet now, None for the transport's own `info`; raises
            NoWorker, Unreachable, ... when no reply could start. It answers at once.
        check: raises TooLarge or Unprocessable for a request that cannot be sent; its session may be missing.
        workers: every worker that could be asked or soon might be, by name.
        servers: each model server that the transport can choose from, in its order; empty for one alone.
        place_in_queue: where a request for a model would stand, as far as known: 0 starts at once, 1 is next.
        slots: asks how many replies the other side makes at a time, None if unknown; never raises.
        accepts: the kinds of content that it takes besides text, as last told; all where that is unknown.
        drain: says to the other side that no new requests will come; what runs goes on.
    """

    health: Callable[[], Awaitable[Health]] = _always_well
    models: Callable[[], Sequence[str]] = tuple
    admit: Callable[[str | None], TransportInfo | None] = lambda _: None
    check: Callable[[ChatRequest], None] = _carries_all
    workers: Callable[[], Sequence[WorkerInfo]] = tuple
    servers: Callable[[], Sequence[ServerInfo]] = tuple
    place_in_queue: Callable[[str | None], int] = lambda _: 0
    slots: Callable[[], Awaitable[int | None]] = _untold
    accepts: Callable[[], frozenset[Kind]] = lambda: ALL_KINDS
    drain: Callable[[], None] = lambda: None


class Transport(Protocol):
    @property
    def info(self) -> TransportInfo: ...

    @property
    def abilities(self) -> Abilities: ...

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
