"""The journal of a single process, in memory and limited in bytes."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from gateway.contract.errors import NotFound
from gateway.contract.events import (
    Cancelled,
    Delta,
    Failed,
    Finished,
    ReaderEvent,
    Reasoning,
    Started,
    ToolCall,
)
from gateway.contract.journal import START, BadPosition, FellBehind, OnNews, Position
from gateway.journals.packed_texts import PACKED_DELTA_BYTES, PACKED_TEXTS_BYTES, Packed, Texts, pack, unpack

_TERMINAL = (Finished, Cancelled, Failed)
_EVENT_BYTES = 112
"""Size of an event without its texts: the object and its list slot, measured with tracemalloc."""
_ENDING_BYTES = 900
"""Size of a Started or terminal event without text and message: numbers, ids and a URL."""
_PACK_EVENTS = 16
"""Number of events packed at a time; the same number stays unpacked, since most readers are near the end."""


class MemoryJournal:
    """Implements Journal. Events whose text is not stored yet are kept even beyond the limits.

    Args:
        max_bytes: of one reply; beyond it, its oldest events that are stored are dropped.
        total_bytes: of all replies; beyond it, ended replies are dropped first, then stored events of others.
    """

    def __init__(self, *, max_bytes: int = 1024 * 1024, total_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._total_bytes = total_bytes
        self._logs: dict[str, MemoryLog] = {}
        self._ended: OrderedDict[str, asyncio.TimerHandle] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """Number of logs in memory."""
        return len(self._logs)

    def __contains__(self, stream_id: object) -> bool:
        return stream_id in self._logs

    def open(self, stream_id: str, after: Position = START) -> "MemoryLog":
        self.forget(stream_id)
        log = self._logs[stream_id] = MemoryLog(self, self._max_bytes, after)
        return log

    def follow(self, stream_id: str, on_news: OnNews, after: int = 0) -> "MemoryReader":
        log = self._logs.get(stream_id)
        if log is None:
            raise NotFound("No such stream.")
        if after > log.last_seq:
            raise BadPosition("The event id is greater than the latest of this stream.")
        return MemoryReader(log, on_news, after)

    def forget(self, stream_id: str, after_s: float = 0) -> None:
        timer = self._ended.pop(stream_id, None)
        if timer is not None:
            timer.cancel()
        if after_s > 0:
            loop = asyncio.get_running_loop()
            self._ended[stream_id] = loop.call_later(after_s, self.forget, stream_id)
            self.make_room()
            return
        log = self._logs.pop(stream_id, None)
        if log is not None:
            log.uncount()

    def make_room(self) -> None:
        """Drop ended replies above total_bytes, the oldest first; then the stored events of all others."""
        while self.bytes > self._total_bytes and self._ended:
            self.forget(next(iter(self._ended)))
        if self.bytes > self._total_bytes:
            for log in self._logs.values():
                log.drop_to(0)


class MemoryLog:
    """One reply's events and its readers.

    Attributes:
        packed: the oldest events, with adjacent deltas packed.
        packed_seq: number of the last packed event.
        events: the events after them.
        bytes: size of all events; the latest deltas are added by `count`.
        first: the position before the oldest event that was not dropped.
        readers: all present readers.
        listeners: their OnNews; replaced, since a listener may leave while all of them are called.
    """

    __slots__ = (
        "_counted",
        "_journal",
        "_max_bytes",
        "_safe_seq",
        "bytes",
        "closed",
        "events",
        "first",
        "listeners",
        "packed",
        "packed_seq",
        "readers",
    )

    def __init__(self, journal: MemoryJournal, max_bytes: int, after: Position = START) -> None:
        self._journal = journal
        self._max_bytes = max_bytes
        self._safe_seq = after.seq
        self.events: list[ReaderEvent] = []
        self.packed: list[Packed] = []
        self.first = after
        self.packed_seq = after.seq
        self.listeners: tuple[OnNews, ...] = ()
        self.readers: list[MemoryReader] = []
        self.closed = False
        self.bytes = 0
        self._counted = 0  # of `events`, from the first one on

    @property
    def last_seq(self) -> int:
        return self.packed_seq + len(self.events)

    def append(self, events: Sequence[ReaderEvent]) -> None:
        self.events += events
        if len(self.events) > 2 * _PACK_EVENTS:
            self._pack()
        if type(events[-1]) is not Delta:
            self.closed = type(events[-1]) in _TERMINAL
            self.count()
        for on_news in self.listeners:
            on_news()

    def count(self) -> None:
        """Add the size of the latest deltas to `bytes`: for each token alone that would take 5 % of its
        time."""
        self._resize(_sizes(self.events[self._counted :]))
        self._counted = len(self.events)

    def uncount(self) -> None:
        """Forget the sizes of all events so far."""
        self._resize(-self.bytes)
        self._counted = len(self.events)

    def _resize(self, more_bytes: int) -> None:
        self.bytes += more_bytes
        self._journal.bytes += more_bytes

    def checkpointed(self, seq: int) -> None:
        self._safe_seq = seq
        self.count()
        if self.bytes > self._max_bytes:
            self.drop_to(self._max_bytes // 2)
        self._journal.make_room()

    def cut(self) -> None:
        for reader in self.readers:
            reader.cut()
        for on_news in self.listeners:
            on_news()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.count()
            for on_news in self.listeners:
                on_news()

    def drop_to(self, max_bytes: int) -> None:
        """Drop the oldest events while more than `max_bytes` are left, up to the first that is not stored."""
        self._pack()
        dropped, seq, freed = 0, self.first.seq, 0
        chars, thoughts = self.first.chars, self.first.thoughts
        for item in self.packed:
            count = len(item.ends) if isinstance(item, Texts) else 1
            if self.bytes - freed <= max_bytes or seq + count > self._safe_seq or isinstance(item, ToolCall):
                break  # checkpoints store no tool calls
            dropped += 1
            seq += count
            freed += _packed_size(item)
            if isinstance(item, Texts):
                chars += len(item.text)
            elif isinstance(item, Reasoning):
                thoughts += len(item.text)
        del self.packed[:dropped]
        self.first = Position(seq, chars, thoughts)
        self._resize(-freed)

    def _pack(self) -> None:
        """Pack all but the latest _PACK_EVENTS events, or all that are stored, whichever are more."""
        count = max(len(self.events) - _PACK_EVENTS, self._safe_seq - self.packed_seq)
        if count <= 0:
            return
        older = self.events[:count]
        del self.events[:count]
        counted = min(self._counted, count)
        self._counted -= counted
        growing = max(0, len(self.packed) - 1)  # the last packed item may get more deltas
        before = sum(map(_packed_size, self.packed[growing:]))
        pack(older, self.packed)
        self.packed_seq += count
        after = sum(map(_packed_size, self.packed[growing:]))
        self._resize(after - before - _sizes(older[:counted]))


class MemoryReader:
    __slots__ = ("_log", "_on_news", "_taken", "begins_at")

    def __init__(self, log: MemoryLog, on_news: OnNews, after: int) -> None:
        self._log = log
        self._on_news = on_news
        self.begins_at = log.first if after < log.first.seq else None
        self._taken = max(after, log.first.seq)
        log.listeners += (on_news,)
        log.readers.append(self)

    @property
    def at_end(self) -> bool:
        return self._log.closed and self._taken >= self._log.last_seq

    def take(self) -> Sequence[ReaderEvent]:
        log = self._log
        start = self._taken - log.packed_seq
        if start >= 0:
            new = log.events[start:]
        elif self._taken < log.first.seq:
            raise FellBehind("The reader is too slow, or this gateway may have lost the reply to another.")
        else:
            new = [*islice(unpack(log.packed), self._taken - log.first.seq, None), *log.events]
        self._taken += len(new)
        return new

    def cut(self) -> None:
        self._taken = -1  # before every event that the log has

    def leave(self) -> None:
        listeners = list(self._log.listeners)
        listeners.remove(self._on_news)
        self._log.listeners = tuple(listeners)
        self._log.readers.remove(self)


def _sizes(events: Sequence[ReaderEvent]) -> int:
    """Return the size of all events. Most are deltas, and a call for each would take longer than its sum."""
    return sum(
        [_EVENT_BYTES + event.text.__sizeof__() if type(event) is Delta else _size(event) for event in events]
    )


def _size(event: ReaderEvent) -> int:
    # The most frequent first: each check that fails takes ten times as long as one that succeeds.
    if isinstance(event, Started):
        return _ENDING_BYTES
    if isinstance(event, (Finished, Cancelled)):
        return _ENDING_BYTES + event.ending.full_content.__sizeof__()
    if isinstance(event, Failed):
        return _ENDING_BYTES + event.ending.full_content.__sizeof__() + event.message.__sizeof__()
    if isinstance(event, (Reasoning, Delta)):
        return _EVENT_BYTES + event.text.__sizeof__()
    if isinstance(event, ToolCall):
        return _EVENT_BYTES + sum(text.__sizeof__() for text in (event.id, event.name, event.arguments))
    return _EVENT_BYTES


def _packed_size(item: Packed) -> int:
    if isinstance(item, Texts):
        return PACKED_TEXTS_BYTES + item.text.__sizeof__() + PACKED_DELTA_BYTES * len(item.ends)
    return _size(item)
