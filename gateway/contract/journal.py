"""The numbered event log of one reply: its run appends, any number of readers follow at their own pace.

Events are numbered from 1 without holes. The last one is Finished, Cancelled or Failed; nothing follows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.contract.errors import BadRequest
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


class JournalWriter(Protocol):
    async def append(self, events: Sequence[ReaderEvent]) -> None:
        """Number these events and show them to every reader; a terminal event closes the log."""
        ...

    def close(self) -> None:
        """Say that nothing more will come, terminal event or not."""
        ...


OnNews = Callable[[], None]
"""Called after every append and when the log is closed, by whoever appends: it must not block or raise."""


class JournalReader(Protocol):
    @property
    def closed(self) -> bool:
        """Nothing will come beyond what can be taken now."""
        ...

    def take(self) -> Sequence[ReaderEvent]:
        """All events that were not taken yet, in order; empty if there are none."""
        ...

    def leave(self) -> None:
        """Be called no more."""
        ...


class Journal(Protocol):
    def open(self, stream_id: str) -> JournalWriter:
        """Start the log of a new reply."""
        ...

    def follow(self, stream_id: str, on_news: OnNews, after: int = 0) -> JournalReader:
        """Read the log from the event numbered `after` + 1; NotFound if it is not held here (any more)."""
        ...

    def forget(self, stream_id: str) -> None:
        """Drop the log; whoever still follows it keeps what it has."""
        ...
