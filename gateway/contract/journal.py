"""The interface of a journal, the numbered event log of one reply: one writer, any number of readers.

Events are numbered from 1, or from behind the end of a reply that is continued, without gaps. The last one is
Finished, Cancelled or Failed.
"""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from gateway.contract.errors import BadRequest, GatewayError
from gateway.contract.events import ReaderEvent


class BadPosition(BadRequest):
    code = "bad_event_id"


class Position(Struct, frozen=True):
    """The position after one event of a reply, sent as event id `<seq>-<chars>`; `r<thoughts>` and `t<calls>`
    follow unless they are 0.

    Attributes:
        seq: number of that event; 0 before the first. A gateway that takes a reply over numbers its events
            anew.
        chars: code points of the reply's text up to and including that event; they and the two others locate
            the position in the stored reply after the journal was dropped.
        thoughts: code points of the reasoning up to there.
        calls: number of tool calls up to there.
    """

    seq: int
    chars: int
    thoughts: int = 0
    calls: int = 0

    def __str__(self) -> str:
        return f"{self.seq}-{self.chars}{self.suffix}"

    @property
    def suffix(self) -> str:
        """The part of the event id for reasoning and tool calls; empty for most replies."""
        thoughts = f"r{self.thoughts}" if self.thoughts else ""
        return f"{thoughts}t{self.calls}" if self.calls else thoughts

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Parse an event id. Raises BadPosition."""
        match = _EVENT_ID.fullmatch(text)
        if match is None:
            raise BadPosition("The event id is not one of this stream's: it must look like 12-345.")
        return cls(*(int(number or 0) for number in match.groups()))


START = Position(0, 0)
_EVENT_ID = re.compile("([0-9]{1,12})-([0-9]{1,12})(?:r([0-9]{1,12}))?(?:t([0-9]{1,12}))?")


class FellBehind(GatewayError):
    """The journal has dropped events that the reader has not read; their text is in the store."""

    code = "fell_behind"


class JournalWriter(Protocol):
    @property
    def last_seq(self) -> int:
        """The number of the latest event; 0 before the first."""
        ...

    def append(self, events: Sequence[ReaderEvent]) -> None:
        """Number these events and call every reader's OnNews; a terminal event closes the journal."""
        ...

    def checkpointed(self, seq: int) -> None:
        """Note that the store has the text up to event `seq`: these events may be dropped to free memory."""
        ...

    def cut(self) -> None:
        """Make the next `take` of all present readers raise FellBehind, so that they resume."""
        ...

    def close(self) -> None:
        """Close the journal, with or without a terminal event; nothing can be appended afterwards."""
        ...


OnNews = Callable[[], None]
"""Called within every `append` and `close`: it must not block or raise."""


class JournalReader(Protocol):
    @property
    def begins_at(self) -> Position | None:
        """The position at which reading begins if earlier requested events were dropped: the store has the
        text up to it. None if reading begins as requested."""
        ...

    @property
    def at_end(self) -> bool:
        """True if the journal is closed and all its events were taken."""
        ...

    def take(self) -> Sequence[ReaderEvent]:
        """Return all events not taken yet, in order; empty if there are none. Raises FellBehind if events
        were dropped before they were taken."""
        ...

    def leave(self) -> None:
        """Stop the calls of OnNews."""
        ...


class Journal(Protocol):
    @property
    def bytes(self) -> int:
        """Approximate memory of all reply logs together. Deltas are added at the latest when their reply is
        checkpointed."""
        ...

    def __contains__(self, stream_id: object) -> bool:
        """Return whether this process has a log of the stream, which `follow` can read."""
        ...

    def open(self, stream_id: str, after: Position = START) -> JournalWriter:
        """Start the log of a reply. after: where a reply that is continued goes on; the store has the text up
        to there, and the log replaces the earlier one."""
        ...

    def follow(self, stream_id: str, on_news: OnNews, after: int = 0) -> JournalReader:
        """Read from event number `after` + 1, or from the oldest event if that one was dropped.

        Raises NotFound if this process has no log of the stream (any more), BadPosition if `after` is greater
        than the number of the latest event.
        """
        ...

    def forget(self, stream_id: str, after_s: float = 0) -> None:
        """Drop the log of an ended reply after `after_s` seconds, or earlier if memory is short; its current
        readers can still read all of it."""
        ...
