"""The interface of traces: spans of requests, replies and hops, joined by W3C `traceparent`s."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from msgspec import Struct

from gateway.contract.ended_reply import EndedReply
from gateway.contract.transport import Transport


class BegunReply(Struct, frozen=True):
    """One reply that has begun.

    Attributes:
        trace: `traceparent` of the request that asked; None without one.
        transport: that is expected to answer.
        dialect: see EndedReply.
        model_asked: see EndedReply.
    """

    stream_id: str
    session_key: str
    trace: str | None
    transport: str
    dialect: str
    model_asked: str | None


class Fetch(Struct, frozen=True):
    """One read of a reply by another request than the one that asked.

    Attributes:
        trace: `traceparent` of the request that reads.
        reply: `traceparent` of the reply; None if it is no longer known.
        transport: that makes the reply; None if that is no longer known.
        cursor: the event id after which the read begins; None for the begin.
    """

    stream_id: str
    trace: str | None
    reply: str | None
    transport: str | None
    cursor: str | None


class RequestSpan(Protocol):
    """The span of an HTTP request. `trace`: its `traceparent`."""

    @property
    def trace(self) -> str | None: ...

    def answered(self, status: int | None) -> None:
        """End the span. status: of the response; None if the client left before it."""
        ...


class ReplySpan(Protocol):
    """The span of a reply. `trace`: its `traceparent`."""

    @property
    def trace(self) -> str | None: ...

    def ended(self, reply: EndedReply) -> None:
        """End the span."""
        ...


class ReplyTraces(Protocol):
    def reply(self, begun: BegunReply) -> ReplySpan:
        """Begin the span of a reply."""
        ...


class Traces(ReplyTraces, Protocol):
    """Begins spans. No method raises, blocks or does anything per token.

    enabled: False if there are no spans at all.
    """

    @property
    def enabled(self) -> bool: ...

    def request(self, method: str, route: str | None, path: str, trace: str | None) -> RequestSpan:
        """Begin the span of an HTTP request.

        Args:
            method: of the request; WEBSOCKET for one on a WebSocket.
            route: path of its endpoint, with `{…}`; None if it has none.
            path: of the request, without the query.
            trace: the caller's `traceparent`.
        """
        ...

    def fetching(self, fetch: Fetch) -> AbstractContextManager[None]:
        """Return the span of a read, which lasts as long as the block."""
        ...

    def dispatching(self, transport: Transport, mode: str) -> Transport:
        """Return the gateway's transport of this mode, with a span for each attempt."""
        ...

    def asking(self, transport: Transport, url: str) -> Transport:
        """Return the transport to one model server, with a span for each request that has a trace."""
        ...

    def serving(self, transport: Transport, worker: str) -> Transport:
        """Return a worker's transport, with a span for each request."""
        ...

    async def close(self) -> None:
        """Send the last spans, for a limited time."""
        ...


class NoSpan:
    """Passes the caller's `traceparent` on."""

    __slots__ = ("trace",)

    def __init__(self, trace: str | None = None) -> None:
        self.trace = trace

    def answered(self, status: int | None) -> None: ...

    def ended(self, reply: EndedReply) -> None: ...


class NoTraces:
    """Makes no spans."""

    enabled = False

    def request(self, method: str, route: str | None, path: str, trace: str | None) -> RequestSpan:
        return NoSpan(trace)

    def reply(self, begun: BegunReply) -> ReplySpan:
        return NoSpan(begun.trace)

    @contextmanager
    def fetching(self, fetch: Fetch) -> Iterator[None]:
        yield

    def dispatching(self, transport: Transport, mode: str) -> Transport:
        return transport

    def asking(self, transport: Transport, url: str) -> Transport:
        return transport

    def serving(self, transport: Transport, worker: str) -> Transport:
        return transport

    async def close(self) -> None: ...


NO_TRACES = NoTraces()


def trace_id_of(trace: str | None) -> str | None:
    """Return the trace's id, 32 hex digits, from a `traceparent`."""
    return None if trace is None else trace[3:35]
