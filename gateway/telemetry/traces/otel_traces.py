"""Traces as OpenTelemetry's spans.

Names: OpenTelemetry, semantic conventions for generative AI, "Client inference" and "Fetch response" (status
Development, October 2026), and those for HTTP. Questions, replies, headers and queries are never in a span.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer

from gateway.contract.ended_reply import EndedReply
from gateway.contract.errors import GatewayError
from gateway.contract.events import FINISH_REASONS
from gateway.contract.traces import BegunReply, Fetch
from gateway.contract.transport import Transport
from gateway.telemetry.genai_names import MAX_MODEL_CHARS, OTHER, PROVIDERS, ModelNames, printable
from gateway.telemetry.traces.trace_context import context_of, linked, traceparent_of
from gateway.telemetry.traces.traced_transport import Hop, TracedTransport

MAX_PATH_CHARS = 500

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_CHAT, _FETCH = "chat", "fetch_response"
_PORTS = {"http": 80, "https": 443}

Attributes = dict[str, str | int]


class OtelTraces:
    """Implements gateway.contract.traces.Traces.

    Args:
        tracer: makes the spans.
        models: names models in the names of spans.
        close: sends the last spans.
    """

    enabled = True

    def __init__(self, tracer: Tracer, models: ModelNames, close: Callable[[], Awaitable[None]]) -> None:
        self._tracer = tracer
        self._models = models
        self._close = close

    def request(self, method: str, route: str | None, path: str, trace: str | None) -> "OtelRequestSpan":
        known = method if method in _METHODS else "_OTHER"
        attributes: Attributes = {"http.request.method": known, "url.path": printable(path[:MAX_PATH_CHARS])}
        if route is not None:
            attributes["http.route"] = route
        span = self._tracer.start_span(
            f"{known} {route}" if route is not None else known,
            context_of(trace),
            kind=SpanKind.SERVER,
            attributes=attributes,
        )
        return OtelRequestSpan(span)

    def reply(self, begun: BegunReply) -> "OtelReplySpan":
        attributes: Attributes = {
            "gen_ai.operation.name": _CHAT,
            "gen_ai.provider.name": PROVIDERS.get(begun.transport, begun.transport),
            "gen_ai.conversation.id": printable(begun.session_key),
            "gen_ai.response.id": begun.stream_id,
        }
        if begun.model_asked is not None:
            attributes["gen_ai.request.model"] = _model(begun.model_asked)
        if begun.dialect:
            attributes["sluice.dialect"] = begun.dialect
        span = self._tracer.start_span(
            _CHAT, context_of(begun.trace), kind=SpanKind.CLIENT, attributes=attributes
        )
        return OtelReplySpan(span, self._models)

    @contextmanager
    def fetching(self, fetch: Fetch) -> Iterator[None]:
        attributes: Attributes = {
            "gen_ai.operation.name": _FETCH,
            "gen_ai.provider.name": PROVIDERS.get(fetch.transport or "", OTHER),
            "gen_ai.response.id": fetch.stream_id,
        }
        if fetch.cursor is not None:
            attributes["gen_ai.request.stream_cursor"] = fetch.cursor
        reply = linked(fetch.reply)
        span = self._tracer.start_span(
            _FETCH,
            context_of(fetch.trace),
            attributes=attributes,
            links=() if reply is None else (Link(reply),),
        )
        try:
            yield
        except GatewayError as error:
            _fail(span, error.code)
            raise
        finally:
            span.end()

    def dispatching(self, transport: Transport, mode: str) -> Transport:
        attributes: Attributes = {"sluice.transport": mode}
        if mode == "mqtt":
            attributes["messaging.system"] = mode
        # Within this process for sse: the call to the model server has a span of its own.
        kind = SpanKind.CLIENT if mode == "mqtt" else SpanKind.INTERNAL
        name = f"dispatch {mode}"
        return TracedTransport(transport, Hop(self._tracer, name, name, name, kind, attributes))

    def asking(self, transport: Transport, url: str) -> Transport:
        parts = urlsplit(url)
        attributes: Attributes = {
            "http.request.method": "POST",
            "server.address": parts.hostname or "",
            "server.port": parts.port or _PORTS.get(parts.scheme, 0),
        }
        names = "POST /v1/chat/completions", "POST /v1/embeddings", "GET /v1/stream"
        return TracedTransport(transport, Hop(self._tracer, *names, SpanKind.CLIENT, attributes))

    def serving(self, transport: Transport, worker: str) -> Transport:
        attributes: Attributes = {"sluice.worker": worker, "messaging.system": "mqtt"}
        names = "serve", "serve embeddings", "serve"
        return TracedTransport(transport, Hop(self._tracer, *names, SpanKind.SERVER, attributes, begins=True))

    async def close(self) -> None:
        await self._close()


class OtelRequestSpan:
    """Implements gateway.contract.traces.RequestSpan."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace = traceparent_of(span)

    def answered(self, status: int | None) -> None:
        span = self._span
        if status is not None:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                _fail(span, str(status))
        span.end()


class OtelReplySpan:
    """Implements gateway.contract.traces.ReplySpan. An ended reply is kept for a while: it keeps no Span."""

    __slots__ = ("_models", "_span", "trace")

    def __init__(self, span: Span, models: ModelNames) -> None:
        self._span: Span | None = span
        self._models = models
        self.trace = traceparent_of(span)

    def ended(self, reply: EndedReply) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        span.set_attribute("gen_ai.provider.name", PROVIDERS.get(reply.transport, reply.transport))
        span.set_attribute("sluice.mode", reply.mode)
        span.set_attribute("sluice.reason", reply.reason)
        model = self._models.of(reply.model_asked, reply.model)
        if model != OTHER:
            span.update_name(f"{_CHAT} {model}")
            span.set_attribute("gen_ai.request.model", model)
        if reply.model is not None:
            span.set_attribute("gen_ai.response.model", _model(reply.model))
        if reply.reason in FINISH_REASONS:
            span.set_attribute("gen_ai.response.finish_reasons", [reply.reason])
        # A cached reply reports no tokens a second time.
        if reply.generated and reply.usage is not None:
            span.set_attribute("gen_ai.usage.input_tokens", reply.usage.prompt_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", reply.usage.completion_tokens)
        if reply.generated and reply.delivery == "token" and reply.first_s is not None:
            span.set_attribute("gen_ai.response.time_to_first_chunk", reply.first_s)
        if reply.error_code is not None:
            _fail(span, reply.error_code)
        span.end()


def _model(name: str) -> str:
    return printable(name[:MAX_MODEL_CHARS])


def _fail(span: Span, error_type: str) -> None:
    """Mark the span as failed. Without the error's text: it may repeat a prompt."""
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR)
