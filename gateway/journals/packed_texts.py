"""Packs adjacent deltas of a journal into one text, because an object per token takes much memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from gateway.contract.events import Delta, ReaderEvent

MAX_DELTAS = 64
"""Maximum number of deltas in one Texts, which can only be dropped as a whole."""
PACKED_DELTA_BYTES = 4
PACKED_TEXTS_BYTES = 180
"""Size of one Texts without its text and without PACKED_DELTA_BYTES per delta."""


class Texts:
    """Adjacent deltas: `text` is that of all of them, `ends` the end of each within it, in characters."""

    __slots__ = ("ends", "text")

    def __init__(self) -> None:
        self.text = ""
        self.ends = array("I")

    @property
    def is_full(self) -> bool:
        return len(self.ends) >= MAX_DELTAS

    def add(self, texts: Sequence[str]) -> None:
        ends = accumulate(map(len, texts), initial=len(self.text))
        next(ends)
        self.ends.extend(ends)
        self.text += "".join(texts)

    def deltas(self) -> Iterator[Delta]:
        start = 0
        for end in self.ends:
            yield Delta(self.text[start:end])
            start = end


Packed = Texts | ReaderEvent


def pack(events: Iterable[ReaderEvent], behind: list[Packed]) -> None:
    """Append the events to `behind`, packed. `unpack` returns them one by one."""
    last = behind[-1] if behind else None
    texts: list[str] = []

    def add_texts() -> None:
        nonlocal last
        while texts:
            if not isinstance(last, Texts) or last.is_full:
                last = Texts()
                behind.append(last)
            room = MAX_DELTAS - len(last.ends)
            last.add(texts[:room])
            del texts[:room]

    for event in events:
        if isinstance(event, Delta):
            texts.append(event.text)
            continue
        add_texts()
        behind.append(event)
        last = event
    add_texts()


def unpack(packed: Iterable[Packed]) -> Iterator[ReaderEvent]:
    for item in packed:
        if isinstance(item, Texts):
            yield from item.deltas()
        else:
            yield item
