"""The first and the last event of a reply, and those of its stored text."""

from collections.abc import Sequence

from gateway.contract.events import (
    Cancelled,
    Delivery,
    Delta,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Reasoning,
    Started,
    Terminal,
)
from gateway.contract.exchanges import Exchange
from gateway.contract.store import StoredMessage
from gateway.core.event_lengths import events_again, unpacked
from gateway.core.run import Outcome


def started_event(
    stream_id: str, exchange: Exchange, mode: str, delivery: Delivery, resume_url: str | None
) -> Started:
    return Started(
        stream_id=stream_id,
        session_id=exchange.session_id,
        session_key=exchange.session_key,
        user_message_id=exchange.user_message_id,
        assistant_message_id=exchange.assistant_message_id,
        mode=mode,
        delivery=delivery,
        resume_url=resume_url,
        session_uuid=exchange.session_uuid,
        opens_session=exchange.opens_session,
        assistant_message_uuid=exchange.assistant_message_uuid,
    )


def kept_events(kept: StoredMessage, *, exact: bool) -> Sequence[ReaderEvent] | None:
    """Return events of the text that a running reply has in the store.

    exact: they must be those that its readers got; None if their lengths are not stored.
    """
    reasoning = kept.reasoning or ""
    if not exact or not (kept.content or reasoning):
        return [
            *([Reasoning(reasoning)] if reasoning else []),
            *([Delta(kept.content)] if kept.content else []),
        ]
    if kept.event_lengths is None:
        return None
    return list(events_again(unpacked(kept.event_lengths), kept.content, reasoning, ()))


def terminal_event(outcome: Outcome, ending: Ending) -> Terminal:
    if (error := outcome.error) is not None:
        return Failed(outcome.reason, error.code, str(error), error.retryable, ending)
    if outcome.status == "cancelled":
        return Cancelled(outcome.reason, ending)
    return Finished(outcome.reason, ending)
