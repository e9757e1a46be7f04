"""Translates between OpenTelemetry's contexts and W3C `traceparent`s."""

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def context_of(trace: str | None) -> Context:
    """Return the context for spans below this `traceparent`; that of a new trace if it is None or invalid."""
    return _W3C.extract({} if trace is None else {"traceparent": trace}, Context())


def linked(trace: str | None) -> SpanContext | None:
    """Return the span that this `traceparent` names; None if it names none."""
    context = get_current_span(context_of(trace)).get_span_context()
    return context if context.is_valid else None


def traceparent_of(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
