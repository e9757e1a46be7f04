"""Neighbouring deltas of a log as one text: an object per token is most of what a long reply takes."""

from array import array
from collections.abc import Iterable, Iterator, Sequence

from gateway.contract.events import Delta, ReaderEvent

MAX_DELTAS = 64
"""Of one Texts, which is dropped as a whole."""
PACKED_DELTA_BYTES = 4
PACKED_TEXTS_BYTES = 180
"""Bytes of the objects of one Texts, without four bytes a delta and the text."""


class Texts:
    """text: of all the deltas; ends: where each of them ends in it, in characters."""

    __slots__ = ("ends", "text")

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = "".join(texts)
        self.ends = array("I")
        end = 0
        for text in texts:
            end += len(text)
            self.ends.append(end)

    def deltas(self) -> Iterator[Delta]:
        start = 0
        for end in self.ends:
            yield Delta(self.text[start:end])
            start = end


Packed = Texts | ReaderEvent


def pack(events: Iterable[ReaderEvent]) -> list[Packed]:
    """The events with neighbouring deltas packed; `unpack` gives them back one by one."""
    packed: list[Packed] = []
    texts: list[str] = []
    for event in events:
        if isinstance(event, Delta):
            texts.append(event.text)
            if len(texts) < MAX_DELTAS:
                continue
        if texts:
            packed.append(Texts(texts))
            texts = []
        if not isinstance(event, Delta):
            packed.append(event)
    if texts:
        packed.append(Texts(texts))
    return packed


def unpack(packed: Iterable[Packed]) -> Iterator[ReaderEvent]:
    for item in packed:
        if isinstance(item, Texts):
            yield from item.deltas()
        else:
            yield item
