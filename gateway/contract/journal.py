"""The numbered event log of one reply: its run appends, any number of readers follow at their own pace.

Events are numbered from 1 without holes. The last one is Finished, Cancelled or Failed; nothing follows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.errors import BadRequest, GatewayError
from gateway.contract.events import ReaderEvent


class BadPosition(BadRequest):
    code = "bad_event_id"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a reply, just behind one event; on the wire `<seq>-<chars>`.

    seq: that event's number, 0 before the first. chars: how many code points of the reply's text stand up to
    and including it, so that the place can be found in the stored text when the log is gone.
    """

    seq: int
    chars: int

    def __str__(self) -> str:
        return f"{self.seq}-{self.chars}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position that an event id names; anything else raises BadPosition."""
        seq, _, chars = text.partition("-")
        if not (_is_number(seq) and _is_number(chars)):
            raise BadPosition("The event id is not one of this stream's: it must look like 12-345.")
        return cls(int(seq), int(chars))


START = Position(0, 0)


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 12 and text.isascii() and text.isdecimal()


class FellBehind(GatewayError):
    """A reader wants events that its journal has dropped; their text is in the store."""

    code = "fell_behind"


class JournalWriter(Protocol):
    @property
    def last_seq(self) -> int:
        """The number of the latest event, 0 before the first."""
        ...

    def append(self, events: Sequence[ReaderEvent]) -> None:
        """Number these events and call every reader; a terminal event closes the log."""
        ...

    def checkpointed(self, seq: int) -> None:
        """The text of all events up to number `seq` is in the store: they may be dropped to make room."""
        ...

    def close(self) -> None:
        """Say that nothing more will come, terminal event or not."""
        ...


OnNews = Callable[[], None]
"""Called after every append and when the log is closed, by whoever appends: it must not block or raise."""


class JournalReader(Protocol):
    @property
    def begins_at(self) -> Position | None:
        """Where reading begins, if the log no longer holds what was asked for: the text up to there is in the
        store. None if it begins as asked."""
        ...

    @property
    def at_end(self) -> bool:
        """The log is closed and all of it was taken."""
        ...

    def take(self) -> Sequence[ReaderEvent]:
        """All events that were not taken yet, in order; empty if there are none. FellBehind if some were
        dropped before they were taken."""
        ...

    def leave(self) -> None:
        """Be called no more."""
        ...


class Journal(Protocol):
    @property
    def bytes(self) -> int:
        """What all logs hold together, about."""
        ...

    def open(self, stream_id: str) -> JournalWriter:
        """Start the log of a new reply."""
        ...

    def follow(self, stream_id: str, on_news: OnNews, after: int = 0) -> JournalReader:
        """Read the log from the event numbered `after` + 1, or from its first if that was dropped.

        NotFound if the log is not held here (any more); BadPosition if `after` is ahead of it.
        """
        ...

    def forget(self, stream_id: str, after_s: float = 0) -> None:
        """Drop the log of an ended reply in `after_s` seconds, or before if room is short; whoever follows it
        keeps what it has."""
        ...
