"""Begins the span of a reply."""

from gateway.contract.traces import BegunReply, ReplySpan, ReplyTraces
from gateway.core.question import Question
from gateway.core.run import Run


def reply_span(traces: ReplyTraces, run: Run, question: Question, transport: str) -> ReplySpan:
    """Return the span of a reply that has begun. transport: that is expected to answer."""
    return traces.reply(
        BegunReply(
            stream_id=run.stream_id,
            session_key=run.exchange.session_key,
            trace=question.trace,
            transport=transport,
            dialect=question.dialect,
            model_asked=question.model,
        )
    )
