"""Measures a reply at its end, and writes its log line."""

import logging

from gateway.contract.ended_reply import EndedReply, OnEnded
from gateway.contract.events import Ending
from gateway.contract.rounding import one_decimal
from gateway.contract.traces import trace_id_of
from gateway.core.reply_accumulator import ReplyAccumulator
from gateway.core.run import GOES_ON_ELSEWHERE, Outcome, Run

log = logging.getLogger("sluice.replies")


def report_end(
    run: Run, reply: ReplyAccumulator, outcome: Outcome, ending: Ending, on_ended: OnEnded
) -> None:
    """Write the log line, end the span and report the measurements of a reply. One that goes on elsewhere is
    measured there, at its end.

    Args:
        run: its terminal event, with this ending, is in the journal.
        reply: its text and times.
        outcome: the final one.
        ending: of the terminal event.
        on_ended: gets the measurements.
    """
    log_reply(run, reply, outcome, ending)
    ended = measured(run, reply, outcome, ending)
    run.span.ended(ended)
    if outcome not in GOES_ON_ELSEWHERE:
        on_ended(ended)


def measured(run: Run, reply: ReplyAccumulator, outcome: Outcome, ending: Ending) -> EndedReply:
    """Return the measurements of a reply whose terminal event, with this ending, is in the journal."""
    # The events of a reply: Started (not if it is continued), progress, one for each read with content, and
    # the terminal event.
    others = reply.progress + (2 if run.opening is None else 1)
    reads = run.journal.last_seq - run.counts_from - others
    return EndedReply(
        reason=outcome.reason,
        error_code=None if outcome.error is None else outcome.error.code,
        mode=reply.mode,
        transport="cache" if ending.delivery == "cached" else ending.mode,
        dialect=run.dialect,
        delivery=ending.delivery,
        generated=reply.asked is not None and ending.delivery != "cached",
        model_asked=reply.model_asked,
        model=ending.model,
        usage=reply.usage,
        duration_s=reply.duration_s,
        first_s=reply.first_s,
        chunks=reads
        if ending.delivery == "token" and reply.first_at is not None and not run.is_adopted
        else 0,
        is_complete=reply.done is not None,
        error="" if outcome.error is None else str(outcome.error),
    )


def log_reply(run: Run, reply: ReplyAccumulator, outcome: Outcome, ending: Ending) -> None:
    """Write the log line. In format `json` its values are fields too."""
    error, usage = outcome.error, reply.usage
    fields = {
        "stream": run.stream_id,
        "session": run.exchange.session_key,
        "user": run.user_id,
        "mode": ending.mode,
        "model": ending.model,
        "status": outcome.status,
        "reason": outcome.reason,
        "characters": len(ending.full_content),
        "prompt_tokens": None if usage is None else usage.prompt_tokens,
        "completion_tokens": None if usage is None else usage.completion_tokens,
        "ms": one_decimal(reply.duration_s * 1000),
        "first_ms": ending.ttft_ms,
        "dialect": run.dialect or None,
        "code": None if error is None else error.code,
        "trace": trace_id_of(run.span.trace),
    }
    model, tokens, first_ms = map(_known, (ending.model, fields["completion_tokens"], fields["first_ms"]))
    line = (
        f"stream {run.stream_id} session {run.exchange.session_key} user {run.user_id} mode {ending.mode} "
        f"model {model}: {outcome.status} ({outcome.reason}), {fields['characters']} characters, "
        f"{tokens} tokens in {fields['ms']} ms, first after {first_ms} ms"
    )
    if error is None:
        log.info(line, extra={"fields": fields})
    else:
        log.warning("%s: %s: %s", line, error.code, error, extra={"fields": fields})


def _known(value: object) -> object:
    return "-" if value is None else value
