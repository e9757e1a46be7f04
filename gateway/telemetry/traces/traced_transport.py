"""A transport with a span for each request."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from opentelemetry.trace import SpanKind, StatusCode, Tracer

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import GatewayError
from gateway.contract.events import Done
from gateway.contract.reattach import Reattach
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Hear, Transport, TransportInfo
from gateway.telemetry.traces.trace_context import context_of, traceparent_of


@dataclass(frozen=True, slots=True)
class Hop:
    """The spans of one TracedTransport.

    Attributes:
        name: of the span of a reply.
        embed_name: of the span of embeddings.
        reattach_name: of the span of the rest of a reply that another gateway began.
        begins: True to begin a new trace for a request without one; False to make no span then.
    """

    tracer: Tracer
    name: str
    embed_name: str
    reattach_name: str
    kind: SpanKind
    attributes: Mapping[str, str | int]
    begins: bool = False

    @contextmanager
    def span(self, name: str, trace: str | None) -> Iterator[str | None]:
        """Make a span of the block. Yields the `traceparent` for what is asked within it."""
        if trace is None and not self.begins:
            yield None
            return
        span = self.tracer.start_span(
            name, context_of(trace), kind=self.kind, attributes=dict(self.attributes)
        )
        try:
            yield traceparent_of(span)
        except asyncio.CancelledError:
            span.set_attribute("sluice.cancelled", True)
            raise
        except BaseException as error:
            # Without its text: a model server's error may repeat a prompt.
            type_name = type(error).__name__
            span.set_attribute("error.type", error.code if isinstance(error, GatewayError) else type_name)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()


class TracedTransport:
    """Passes requests on, each with its span's `traceparent`. Nothing is done per token."""

    def __init__(self, transport: Transport, hop: Hop) -> None:
        self._transport = transport
        self._hop = hop
        self.abilities: Abilities = replace(transport.abilities, embed=self._embed, reattach=self._reattach)

    @property
    def info(self) -> TransportInfo:
        return self._transport.info

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._transport.running()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        with self._hop.span(self._hop.name, request.trace) as trace:
            return await self._transport.answer(replace(request, trace=trace), hear)

    async def _reattach(self, wanted: Reattach, hear: Hear) -> Done:
        with self._hop.span(self._hop.reattach_name, wanted.trace) as trace:
            return await self._transport.abilities.reattach(replace(wanted, trace=trace), hear)

    async def _embed(self, request: EmbedRequest) -> Embeddings:
        with self._hop.span(self._hop.embed_name, request.trace) as trace:
            return await self._transport.abilities.embed(replace(request, trace=trace))
