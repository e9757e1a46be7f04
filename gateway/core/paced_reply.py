"""A reply that arrived in one piece and is sent to its readers as paced deltas."""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from gateway.contract.events import Delta, ReaderEvent, Reasoning, ToolCall
from gateway.contract.journal import JournalWriter
from gateway.core.pacing import Pace, pieces
from gateway.core.run import Outcome


class PacedReply:
    """The events of one such reply, and how many of them are in the journal.

    Attributes:
        events: all its events, paced.
        outcome: its outcome, unless it is stopped.
        stored: True if its final state is stored with this outcome.
    """

    def __init__(self, whole: Sequence[ReaderEvent], pace: Pace, outcome: Outcome) -> None:
        self.events = list(_paced(whole, pace))
        self.outcome = outcome
        self.stored = False
        self._delay_s = pace.delay_s
        self._sent = 0

    async def send(self, journal: JournalWriter, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Append the events, with a pause between deltas."""
        first = True
        for event in self.events:
            if isinstance(event, Delta):
                if not first:
                    await sleep(self._delay_s)
                first = False
            self._sent += 1
            journal.append([event])

    def send_rest(self, journal: JournalWriter) -> None:
        """Append the remaining events at once."""
        rest = self.events[self._sent :]
        self._sent = len(self.events)
        if rest:
            journal.append(rest)

    @property
    def sent_text(self) -> str:
        return "".join(event.text for event in self.events[: self._sent] if isinstance(event, Delta))

    def heard_of(self, reasoning: str | None) -> str | None:
        """Return the reply's `reasoning` without the end that was not sent."""
        rest = self.events[self._sent :]
        unsent = sum(len(event.text) for event in rest if isinstance(event, Reasoning))
        return reasoning if not reasoning else reasoning[: len(reasoning) - unsent] or None

    @property
    def sent_tool_calls(self) -> Sequence[ToolCall]:
        return [event for event in self.events[: self._sent] if isinstance(event, ToolCall)]


def _paced(whole: Sequence[ReaderEvent], pace: Pace) -> Iterator[ReaderEvent]:
    for event in whole:
        if isinstance(event, Delta):
            yield from (Delta(piece) for piece in pieces(event.text, pace))
        else:
            yield event
