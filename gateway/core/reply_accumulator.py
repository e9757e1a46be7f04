"""Collects the text, tool calls, token counts and timings of one reply."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Protocol, TypeGuard

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import (
    MAX_REPLY_CHARS,
    TOOL_CALL_CHARS,
    Delta,
    Done,
    Progress,
    ReaderEvent,
    Reasoning,
    ToolCall,
    TransportEvent,
    Usage,
    usage_of,
)
from gateway.contract.journal import JournalWriter
from gateway.contract.rounding import one_decimal
from gateway.contract.transport import Hear, TransportInfo


class ReplyAccumulator:
    """The state of one reply.

    Attributes:
        asked: the transport that got the request last; None before the first.
        first_at: time of the first content (text, reasoning or tool call); None before it.
        is_silent: True if the transport that was asked last has sent no content.
        ended_at: time when no more events came: the reply was complete, failed or was stopped.
        progress: number of Progress events.
        mode, model_asked: the gateway's mode and the request's model when the reply began.
        on_first: called at the first content of each transport that is asked.

    Args:
        clock: seconds, monotonic.
        earlier_chars: length of the text that a continued reply has already.
        exact: True makes one event of each event that the transport pushes, without progress, so that a
            repetition of the reply has the same events in any reads.
    """

    __slots__ = (
        "_clock",
        "_exact",
        "_knows_first",
        "_reasoning",
        "_room_chars",
        "_texts",
        "asked",
        "asked_at",
        "done",
        "ended_at",
        "first_at",
        "is_silent",
        "mode",
        "model_asked",
        "on_first",
        "progress",
        "tool_call_seqs",
        "tool_calls",
        "usage",
    )

    def __init__(self, clock: Callable[[], float], earlier_chars: int = 0, *, exact: bool = False) -> None:
        self._clock = clock
        self._exact = exact
        self._room_chars = MAX_REPLY_CHARS - earlier_chars
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self.tool_calls: list[ToolCall] = []
        self.tool_call_seqs: list[int] = []
        self.usage: Usage | None = None
        self.done: Done | None = None
        self.asked_at = clock()
        self.first_at: float | None = None
        self._knows_first = True
        self.is_silent = True
        self.ended_at: float | None = None
        self.progress = 0
        self.mode = ""
        self.model_asked: str | None = None
        self.asked: TransportInfo | None = None
        self.on_first: Callable[[], None] | None = None

    def begin(self, asked: TransportInfo) -> None:
        """Note that a transport gets the request, possibly after another one has failed."""
        self.asked = asked
        self.is_silent = True
        self.usage = self.done = None

    def restore(self, text: str, reasoning: str, *, age_s: float, first_s: float | None) -> None:
        """Continue a reply that another gateway began.

        Args:
            text: so far.
            reasoning: so far.
            age_s: seconds since the question.
            first_s: seconds from the question to the first content; None if unknown. It stays unknown then:
                the generator repeats the first content at once.
        """
        if text:
            self._texts.append(text)
        if reasoning:
            self._reasoning.append(reasoning)
        self._room_chars -= len(text) + len(reasoning)
        self.asked_at = self._clock() - age_s
        self._knows_first = first_s is not None
        if text or reasoning:
            self.first_at = self.asked_at + (first_s or 0.0)

    def end(self) -> None:
        """Note the time of the end. Later calls do nothing."""
        if self.ended_at is None:
            self.ended_at = self._clock()

    @property
    def text(self) -> str:
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    @property
    def reasoning(self) -> str | None:
        return "".join(self._reasoning) or None

    @property
    def seams(self) -> tuple[int, ...]:
        """As Done.continued."""
        return () if self.done is None else self.done.continued

    @property
    def ttft_ms(self) -> float | None:
        """Milliseconds from the question to the first content."""
        return None if self.first_s is None else one_decimal(self.first_s * 1000)

    @property
    def first_s(self) -> float | None:
        """Seconds from the question to the first content; None before it, and if it is unknown."""
        return self.first_at - self.asked_at if self.first_at is not None and self._knows_first else None

    @property
    def duration_s(self) -> float:
        """Seconds from the question to the end."""
        return (self._clock() if self.ended_at is None else self.ended_at) - self.asked_at

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the question."""
        return one_decimal((self._clock() - self.asked_at) * 1000)

    @property
    def tokens_per_s(self) -> float | None:
        """The model server's measurement, else completion tokens divided by the time since the first content.

        None without token counts or that time, and for a cached reply, whose tokens were generated earlier.
        """
        if self.usage is None or self.first_at is None or (self.done is not None and self.done.cached):
            return None
        if self.usage.tokens_per_s is not None:
            return one_decimal(self.usage.tokens_per_s)
        elapsed_s = self._clock() - self.first_at if self._knows_first else 0.0
        return one_decimal(self.usage.completion_tokens / elapsed_s) if elapsed_s > 0 else None

    def take(self, batch: Sequence[TransportEvent]) -> Sequence[ReaderEvent]:
        """Record the events of one read and return those for readers.

        Adjacent deltas are merged, except the reply's first content. Raises UpstreamFailed at the first call
        after the reply exceeded MAX_REPLY_CHARS.
        """
        if self._room_chars < 0:  # one call late: the text in excess is both stored and sent
            raise UpstreamFailed(
                f"The reply was stopped: it has more than {MAX_REPLY_CHARS} characters of text, reasoning "
                "and tool calls."
            )
        if len(batch) == 1:
            event = batch[0]
            if type(event) is Delta and not self.is_silent:  # nearly every token, so without a call
                self._texts.append(event.text)
                self._room_chars -= len(event.text)
                return batch  # type: ignore[return-value]  # a Delta is for readers
            return [event] if self._note(event) else []
        if self._exact:
            return [event for event in batch if self._note(event)]
        alone = _until_content(batch) if self.first_at is None else 0
        return [event for event in (*batch[:alone], *merge_deltas(batch[alone:])) if self._note(event)]

    def number_tool_calls(self, told: Sequence[ReaderEvent], last_seq: int) -> None:
        """Record the event numbers of tool calls. `told` are the journal's latest events, up to
        `last_seq`."""
        for seq, event in enumerate(told, last_seq - len(told) + 1):
            if isinstance(event, ToolCall):
                self.tool_call_seqs.append(seq)

    def _note(self, event: TransportEvent) -> TypeGuard[ReaderEvent]:
        """Record the event. Return True if readers get it."""
        if isinstance(event, Delta):
            self._texts.append(event.text)
            self._room_chars -= len(event.text)
        elif isinstance(event, Usage):
            counts = (event.prompt_tokens, event.completion_tokens, event.total_tokens, event.tokens_per_s)
            self.usage = usage_of(*counts) or self.usage
            return False
        elif isinstance(event, Progress):
            self.progress += not self._exact
            return not self._exact
        elif isinstance(event, Reasoning):
            self._reasoning.append(event.text)
            self._room_chars -= len(event.text)
        else:
            self.tool_calls.append(event)
            self._room_chars -= TOOL_CALL_CHARS + len(event.id) + len(event.name) + len(event.arguments)
        if self.is_silent:
            self.is_silent = False
            if self.first_at is None:
                self.first_at = self._clock()
            if self.on_first is not None:
                self.on_first()
        return True


class Settled(Protocol):
    """outcome: None until the run is settled."""

    @property
    def outcome(self) -> object: ...


def recording(reply: ReplyAccumulator, journal: JournalWriter, run: Settled) -> Hear:
    """Return the `hear` that records events in `reply` and appends them to the journal.

    run: that makes the reply; events after it is settled are dropped.
    """
    return _Recorder(reply, journal, run).hear


class _Recorder:
    """With 500 replies, each object that a token touches is a cache miss: a closure would be several."""

    __slots__ = ("_journal", "_reply", "_run")

    def __init__(self, reply: ReplyAccumulator, journal: JournalWriter, run: Settled) -> None:
        self._reply = reply
        self._journal = journal
        self._run = run

    def hear(self, batch: Sequence[TransportEvent]) -> None:
        if self._run.outcome is not None:
            return
        reply = self._reply
        events = reply.take(batch)
        if events:
            self._journal.append(events)
            if reply.tool_calls:
                reply.number_tool_calls(events, self._journal.last_seq)


def _until_content(events: Sequence[TransportEvent]) -> int:
    """Return the number of events until the first content, with it."""
    return next((n for n, event in enumerate(events, 1) if type(event) not in (Progress, Usage)), len(events))


def merge_deltas(events: Sequence[TransportEvent]) -> list[TransportEvent]:
    """Merge adjacent deltas of the same type into one; the order does not change."""
    merged: list[TransportEvent] = []
    for kind, alike in groupby(events, type):
        if kind is Delta or kind is Reasoning:
            merged.append(kind("".join([event.text for event in alike])))  # type: ignore[union-attr]
        else:
            merged += alike
    return merged
