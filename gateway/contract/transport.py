"""The interface of a transport, which gets the reply to one ChatRequest from a model server or a worker.

A new transport needs `transports/<name>/`, one line of assembly and one rig of the contract suite.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from msgspec import Struct

from gateway.contract.accepted_kinds import ALL_KINDS
from gateway.contract.content import Kind
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import Interrupted, NotSupported
from gateway.contract.events import Delivery, Done, Granularity, TransportEvent
from gateway.contract.reattach import Handle, Reattach
from gateway.contract.requests import ChatRequest

Hear = Callable[[Sequence[TransportEvent]], Awaitable[None] | None]
"""Receives all events of one network read, at least one; called synchronously within that read.

It does not block. If it returns an awaitable, the transport awaits it before it reads more of this reply; an
exception of the awaitable ends the reply.
"""


class TransportInfo(Struct, frozen=True):
    """A transport's name and expected behaviour.

    Attributes:
        name: the value of `mode` in API responses ("sse", "mqtt").
        granularity: "token" if replies are expected to arrive token by token, else "message".
    """

    name: str
    granularity: Granularity


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a transport.

    Attributes:
        ok: True if a reply could start now.
        detail: one sentence; if not ok, it says what is missing.
        late: not ok because no answer came in time: it may only be busy.
    """

    ok: bool
    detail: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class WorkerRule:
    """An administrator's rule for one worker.

    Attributes:
        disabled: it gets no new requests.
        max_requests: requests of this gateway that it has at the same time, at most; None for no rule.
    """

    disabled: bool = False
    max_requests: int | None = None


NO_RULE = WorkerRule()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker behind a transport: its last announcement, and this gateway's state of it.

    Attributes:
        name: of the worker.
        state: "draining" if it accepts no new requests.
        models: names of the models that it serves.
        stream: True if it replies token by token.
        max: requests that it accepts at the same time, as announced.
        busy: requests that it has now, as announced.
        open: requests of this gateway that it has now.
        incarnation: increases with each start of the worker; 0 if it does not announce one.
        heartbeat_s: announced interval of its heartbeats in seconds; None if it sends none.
        last_heard_s: seconds since its last message.
        set_aside: suspended: it did not answer a request or sent invalid data, and gets no requests for a
            while.
        full: it refused a request, and gets no more until its next announcement.
        disabled: an administrator's rule disables it.
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
    disabled: bool


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """One model server of several behind a transport, as of its last health check.

    Attributes:
        url: its address.
        ok: True if a reply could start there.
        detail: one sentence; if not ok, it says what is missing.
        models: names that it listed; kept while it is unreachable.
        slots: replies that it generates at the same time.
        open: replies of this gateway that it generates now.
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
    """Accept every request."""


async def _untold() -> None:
    return None


async def _embeds_nothing(_: EmbedRequest) -> Embeddings:
    raise NotSupported("This transport makes no embeddings.")


async def _counts_nothing(_: ChatRequest) -> int:
    raise NotSupported("This transport counts no tokens.")


async def _keeps_nothing(_: Reattach, __: Hear) -> Done:
    raise Interrupted("The gateway ended before the reply did, and this transport cannot continue a reply.")


def _keeps_nothing_of(_: Handle, __: int) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Optional functions of a transport; the defaults are for transports without the ability.

    No code tests a transport's type: each transport sets its own functions here, and a pool in front of
    others forwards or combines theirs. The value does not change during the transport's life.

    Attributes:
        health: checks the model server or broker; never raises, returns within a few seconds.
        models: names of available models, the default first, as last reported; empty while unknown.
        admit: returns what to expect of a request for a model now, None for the transport's `info`. Raises
            NoWorker, Unreachable, ... if no reply could start. It does not block.
        check: raises TooLarge or Unprocessable for a request that cannot be sent; its session may be missing.
        workers: all known workers, by name.
        rule_workers: applies these rules for workers, by name, in place of all earlier ones.
        servers: the model servers that the transport chooses from, in its order; empty if there is only one.
        place_in_queue: the estimated place of a request for a model: 0 starts at once, 1 is next.
        queued: returns the number of requests that wait for a worker.
        slots: returns the number of replies generated at the same time, None if unknown; never raises.
        accepts: kinds of content besides text, as last reported; all kinds while unknown.
        context: the tokens that a conversation and its reply may have together; None while unknown.
        drain: announces that this gateway sends no new requests; running replies continue.
        embed: returns the vectors of texts. Raises NotSupported if no model server or worker there makes any,
            and errors as `answer` does. Cancelling it stops the request.
        embeds: True if `embed` is known to make embeddings now.
        count_tokens: returns the number of prompt tokens of a request, which generates nothing. Raises as
            `embed`.
        reattach: continues to receive a reply: pushes all its events again from the beginning, then new ones
            as they arrive, and returns when it is complete, as `answer` does. Cancelling it stops the reply.
            Raises Interrupted if the generator does not have the reply (any more), and errors as `answer`.
        refused_topics: tries to publish; returns the topics on which the broker refuses it, None if that
            cannot be known.
        forget: called with a reply's handle and epoch when its end is stored: what the generator keeps of it
            can be dropped. It does not block.
        stop: called with the handle and epoch of a reply that `reattach` does not receive: stops its
            generator. It does not block.
    """

    health: Callable[[], Awaitable[Health]] = _always_well
    models: Callable[[], Sequence[str]] = tuple
    admit: Callable[[str | None], TransportInfo | None] = lambda _: None
    check: Callable[[ChatRequest], None] = _carries_all
    workers: Callable[[], Sequence[WorkerInfo]] = tuple
    rule_workers: Callable[[Mapping[str, WorkerRule]], None] = lambda _: None
    servers: Callable[[], Sequence[ServerInfo]] = tuple
    place_in_queue: Callable[[str | None], int] = lambda _: 0
    queued: Callable[[], int] = lambda: 0
    slots: Callable[[], Awaitable[int | None]] = _untold
    accepts: Callable[[], frozenset[Kind]] = lambda: ALL_KINDS
    context: Callable[[], int | None] = lambda: None
    drain: Callable[[], None] = lambda: None
    embed: Callable[[EmbedRequest], Awaitable[Embeddings]] = _embeds_nothing
    embeds: Callable[[], bool] = lambda: False
    count_tokens: Callable[[ChatRequest], Awaitable[int]] = _counts_nothing
    reattach: Callable[[Reattach, Hear], Awaitable[Done]] = _keeps_nothing
    refused_topics: Callable[[], Awaitable[Sequence[str] | None]] = _untold
    forget: Callable[[Handle, int], None] = _keeps_nothing_of
    stop: Callable[[Handle, int], None] = _keeps_nothing_of


class Transport(Protocol):
    @property
    def info(self) -> TransportInfo: ...

    @property
    def abilities(self) -> Abilities: ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep the connection and background tasks alive while the block runs. Entered once."""
        ...

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        """Get one reply: push its events to `hear` as they arrive, and return when it is complete.

        Cancelling the call stops the reply and frees its resources in the model server or worker. `hear` may
        be called once more between the cancellation and the end of the call. A reply that arrives in one
        piece is not pushed but returned in Done. A transport never delays events for pacing.

        Raises TransportError, or RequestRejected (ModelRefused, TooLarge, ...) if the request itself is at
        fault. Exceptions of `hear` pass unchanged. TransportError.broke_off counts the servers that received
        the whole request and then disconnected or sent nothing more; a transport that retries with other
        servers calls `ask_again` first.
        """
        ...


def delivery_of(source: TransportInfo | Done) -> Delivery:
    """Return how the reply of a transport, or this reply, arrives."""
    return "token" if source.granularity == "token" else "chunked"
