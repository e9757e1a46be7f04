"""The lengths of a reply's events: with its texts they give each event again, and so each event's number."""

import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence

from gateway.contract.compression import compressed
from gateway.contract.events import Delta, Progress, ReaderEvent, Reasoning, ToolCall
from gateway.contract.journal import JournalWriter

_SO_FAR = b"\0"
"""First byte of the form of `packed_so_far`; zlib's format never begins with it."""

_CALL, _SILENT = 0, 1
"""Other numbers are texts: twice the length of a Delta, and one more than that of a Reasoning."""


class NotedJournal:
    """A journal that notes the lengths of the events behind the first one."""

    def __init__(self, journal: JournalWriter) -> None:
        self._journal = journal
        self._lengths = array("I")

    @property
    def lengths(self) -> Sequence[int]:
        return self._lengths

    @property
    def last_seq(self) -> int:
        return self._journal.last_seq

    def append(self, events: Sequence[ReaderEvent]) -> None:
        if len(events) == 1 and isinstance(event := events[0], Delta):  # nearly every call
            self._lengths.append(2 * len(event.text))
        else:
            self._lengths.extend(lengths_of(events))
        self._journal.append(events)

    def checkpointed(self, seq: int) -> None:
        self._journal.checkpointed(seq)

    def cut(self) -> None:
        self._journal.cut()

    def close(self) -> None:
        self._journal.close()


def lengths_of(events: Iterable[ReaderEvent]) -> Iterator[int]:
    """One number for each event between the first and the last of a reply."""
    for event in events:
        if isinstance(event, Delta):
            yield 2 * len(event.text)
        elif isinstance(event, Reasoning):
            yield 2 * len(event.text) + 1
        elif isinstance(event, ToolCall):
            yield _CALL
        elif isinstance(event, Progress):
            yield _SILENT


def events_again(
    lengths: Iterable[int], text: str, reasoning: str, calls: Iterable[ToolCall]
) -> Iterator[ReaderEvent]:
    """The events that had these lengths. One that tells nothing comes as an empty Progress."""
    said = thought = 0
    left = iter(calls)
    for length in lengths:
        if length == _CALL:
            yield next(left)
        elif length == _SILENT:
            yield Progress("prompt")
        elif length % 2:
            thought += length // 2
            yield Reasoning(reasoning[thought - length // 2 : thought])
        else:
            said += length // 2
            yield Delta(text[said - length // 2 : said])


def packed(lengths: Iterable[int]) -> bytes:
    numbers = array("I", lengths)
    return compressed(" ".join(map(str, numbers)).encode())


def packed_so_far(lengths: Sequence[int]) -> bytes | None:
    """Return the lengths of a running reply, in a form that is quick to make; None if it has tool calls,
    which are stored only at its end."""
    if _CALL in lengths:
        return None
    numbers = array("I", lengths)
    if sys.byteorder == "big":
        numbers.byteswap()
    return _SO_FAR + numbers.tobytes()


def unpacked(lengths: bytes) -> Sequence[int]:
    """Return the lengths from `packed` or `packed_so_far`."""
    if lengths.startswith(_SO_FAR):
        numbers = array("I", lengths[1:])
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers
    return [int(number) for number in zlib.decompress(lengths).split()]
