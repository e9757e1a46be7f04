"""Measures a reply at its end, and writes its log line."""

import logging

from gateway.contract.ended_reply import EndedReply
from gateway.contract.events import Ending
from gateway.core.reply_accumulator import ReplyAccumulator
from gateway.core.run import Outcome, Run

log = logging.getLogger("sluice.replies")


def measured(run: Run, reply: ReplyAccumulator, outcome: Outcome, ending: Ending) -> EndedReply:
    """Return the measurements of a reply whose terminal event, with this ending, is in the journal."""
    # The events of a reply: Started, progress, one for each read with content, and the terminal event.
    reads = run.journal.last_seq - 2 - reply.progress
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
        first_s=None if reply.first_at is None else reply.first_at - reply.asked_at,
        chunks=reads if ending.delivery == "token" and reply.first_at is not None else 0,
        is_complete=reply.done is not None,
    )


def log_reply(run: Run, reply: ReplyAccumulator, outcome: Outcome, ending: Ending) -> None:
    error = outcome.error
    log.log(
        logging.INFO if error is None else logging.WARNING,
        "stream %s session %s mode %s: %s (%s), %d characters, first after %s ms%s",
        run.stream_id,
        run.exchange.session_key,
        ending.mode,
        outcome.status,
        outcome.reason,
        len(ending.full_content),
        reply.ttft_ms,
        "" if error is None else f": {error.code}: {error}",
    )
