"""Rebuilds the events of a stored reply, for readers that return after its journal was dropped."""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from gateway.contract.error_codes import error_of
from gateway.contract.errors import Interrupted
from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Reason,
    Reasoning,
    Started,
    Terminal,
    ToolCall,
)
from gateway.contract.exchanges import Exchange
from gateway.contract.journal import Position
from gateway.contract.record import replace
from gateway.contract.store import StoredMessage
from gateway.core.event_lengths import events_again, unpacked
from gateway.core.reply_events import started_event

LOST_SEQ = 999_999_999_999
"""Number of a terminal event whose own number was lost in a crash: greater than any real number."""

PIECE_CHARS = 4 * 1024
"""Length of the deltas of a stored text: a reader that reconnects gets only the pieces that it missed."""

Placed = tuple[ReaderEvent, Position]


def replay(message: StoredMessage, exchange: Exchange, after: Position) -> Sequence[Placed]:
    """Return all events after this position, each with the position after it.

    Empty if the reader has received the terminal event. A reader beyond the text that a crash left gets only
    the terminal event, whose `full_content` is authoritative. Reasoning comes before the text.
    """
    last = Position(message.last_seq or LOST_SEQ, len(message.content))
    if after.seq >= last.seq:
        return []
    told: list[Placed] = []
    seq = max(after.seq, 1)
    if after.seq == 0:
        told.append((started_of(message, exchange), Position(seq, 0)))
    if (thoughts := (message.reasoning or "")[after.thoughts :]) and not after.chars:
        after = Position(after.seq, 0, after.thoughts + len(thoughts), after.calls)
        told.append((Reasoning(thoughts), replace(after, seq=seq)))
    told += rest_of(message.content, after)
    for number, (call, call_seq) in enumerate(_numbered_calls(message), 1):
        if call_seq > after.seq and number > after.calls:
            told.append((call, Position(call_seq, last.chars, after.thoughts, number)))
    told.append((terminal_of(message), last))
    return told


def exact_replay(message: StoredMessage, exchange: Exchange) -> Sequence[Placed]:
    """The whole reply, event by event as its journal held it; needs its `event_lengths`."""
    lengths = unpacked(message.event_lengths or b"")
    events = events_again(lengths, message.content, message.reasoning or "", message.tool_calls)
    told = [started_of(message, exchange), *events, terminal_of(message)]
    return list(placed(told))


def placed(events: Iterable[ReaderEvent]) -> Iterator[Placed]:
    """The events of a reply from its first one on, with the position behind each."""
    chars = 0
    for seq, event in enumerate(events, 1):
        chars += len(event.text) if isinstance(event, Delta) else 0
        yield event, Position(seq, chars)


def calls_before(message: StoredMessage, after: Position) -> list[ToolCall]:
    """Return the reply's tool calls up to this position."""
    numbered = enumerate(_numbered_calls(message), 1)
    return [call for number, (call, seq) in numbered if seq <= after.seq or number <= after.calls]


def _numbered_calls(message: StoredMessage) -> Iterable[tuple[ToolCall, int]]:
    return zip(message.tool_calls, message.tool_call_seqs, strict=False)


def rest_of(text: str, after: Position) -> Iterator[Placed]:
    """Yield the text after a position. All pieces have the position's `seq`; only `chars` increases."""
    for start in range(after.chars, len(text), PIECE_CHARS):
        piece = text[start : start + PIECE_CHARS]
        yield Delta(piece), replace(after, seq=max(after.seq, 1), chars=start + len(piece))


def started_of(message: StoredMessage, exchange: Exchange, resume_url: str | None = None) -> Started:
    mode, delivery = message.mode or "", message.delivery or "token"
    return started_event(message.stream_id or "", exchange, mode, delivery, resume_url)


def terminal_of(message: StoredMessage) -> Terminal:
    """Return the terminal event of a stored reply; a reply without an end was interrupted."""
    usage = message.usage
    ending = Ending(
        assistant_message_id=message.id,
        full_content=message.content,
        mode=message.mode or "",
        delivery=message.delivery or "token",
        model=message.model,
        usage=usage,
        ttft_ms=message.ttft_ms,
        tokens_per_s=None if usage is None else usage.tokens_per_s,
        assistant_message_uuid=message.uuid,
        continued=message.seams,
    )
    reason = cast(Reason, message.reason or "interrupted")
    if message.status == "complete":
        return Finished(reason, ending)
    if message.status == "cancelled":
        return Cancelled(reason, ending)
    error = message.error
    if error is None:
        interrupted = Interrupted("The gateway ended before the reply did; its text up to then is stored.")
        return Failed(reason, interrupted.code, str(interrupted), interrupted.retryable, ending)
    retryable = error_of(error.code, error.message, error.retryable).retryable
    return Failed(reason, error.code, error.message, retryable, ending)
