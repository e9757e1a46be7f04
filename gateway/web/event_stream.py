"""One reader's connection: follows a run's journal and writes what is new as Server-Sent Events.

This is the token path: no task and no timer per token; all that is new goes out in one send.
"""

import asyncio
from collections.abc import Iterator, Sequence

from gateway.contract.dialect import Encoder
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent
from gateway.contract.journal import START, JournalReader, Position
from gateway.dialects.frame import PING, with_id
from gateway.web.asgi import Receive, Send, watching

MAX_WRITE_BYTES = 16 * 1024
_MAX_MERGED_CHARS = 4 * 1024
_TERMINAL = (Finished, Cancelled, Failed)

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Pulse:
    """Wakes every open stream once in a while, so that a silent one can send its heartbeat."""

    def __init__(self, ping_s: float) -> None:
        self.ping_s = ping_s
        self._streams: set[EventStream] = set()

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self.ping_s / 4))
            silent_since = loop.time() - self.ping_s
            for stream in list(self._streams):
                if stream.last_sent_at <= silent_since:
                    stream.reader.wake()

    def watch(self, stream: "EventStream") -> None:
        self._streams.add(stream)

    def leave(self, stream: "EventStream") -> None:
        self._streams.discard(stream)


class EventStream:
    """with_ids: events carry their position as `id:`, so that a reader that drops can come back."""

    __slots__ = ("_chars", "_encoder", "_gone", "_pulse", "_seq", "_with_ids", "last_sent_at", "reader")

    def __init__(
        self,
        reader: JournalReader,
        encoder: Encoder,
        pulse: Pulse,
        *,
        with_ids: bool = False,
        after: Position = START,
    ) -> None:
        self.reader = reader
        self.last_sent_at = 0.0
        self._encoder = encoder
        self._pulse = pulse
        self._with_ids = with_ids
        self._seq = after.seq
        self._chars = after.chars
        self._gone = False

    async def serve(self, receive: Receive, send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Answer the request with the stream; returns when it was told to its end or its reader is gone."""
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
        self._pulse.watch(self)
        try:
            async with watching(receive, self._leave):
                await self._tell(send)
        finally:
            self._pulse.leave(self)

    def _leave(self) -> None:
        self._gone = True
        self.reader.wake()

    async def _tell(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        self.last_sent_at = loop.time()
        while not self._gone:
            events = await self.reader.read()
            if events is None:
                return  # The log broke off without an end: so does the response, and the reader knows.
            if events:
                ended = isinstance(events[-1], _TERMINAL)
                for body in self._writes(events):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                if ended:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
            elif loop.time() - self.last_sent_at >= self._pulse.ping_s:
                await send({"type": "http.response.body", "body": PING, "more_body": True})
            else:
                continue
            self.last_sent_at = loop.time()

    def _writes(self, events: Sequence[ReaderEvent]) -> list[bytes]:
        """The events' frames, gathered into as few writes as MAX_WRITE_BYTES allows."""
        if len(events) == 1:
            frame = self._frame(events[0], 1)
            return [frame] if frame else []
        writes: list[bytes] = []
        gathered: list[bytes] = []
        size = 0
        for event, count in self._merged(events):
            frame = self._frame(event, count)
            if gathered and size + len(frame) > MAX_WRITE_BYTES:
                writes.append(b"".join(gathered))
                gathered, size = [], 0
            if frame:
                gathered.append(frame)
                size += len(frame)
        if gathered:
            writes.append(b"".join(gathered))
        return writes

    def _merged(self, events: Sequence[ReaderEvent]) -> Iterator[tuple[ReaderEvent, int]]:
        """Neighbouring deltas as one, and how many they were; the reply's first delta stays alone."""
        texts: list[str] = []
        chars = 0
        for event in events:
            if isinstance(event, Delta) and self._chars and chars < _MAX_MERGED_CHARS:
                texts.append(event.text)
                chars += len(event.text)
                continue
            if texts:
                yield Delta("".join(texts)), len(texts)
                texts, chars = [], 0
            if isinstance(event, Delta) and self._chars:
                texts, chars = [event.text], len(event.text)
            else:
                yield event, 1
        if texts:
            yield Delta("".join(texts)), len(texts)

    def _frame(self, event: ReaderEvent, count: int) -> bytes:
        """The bytes for an event that stands for `count` entries of the journal; empty if there are none."""
        self._seq += count
        if isinstance(event, Delta):
            self._chars += len(event.text)
        frames = self._encoder.frames(event)
        if self._with_ids and frames:
            # An event of several frames is remembered only when its last one has arrived.
            frames = [*frames[:-1], with_id(frames[-1], f"{self._seq}-{self._chars}")]
        return frames[0] if len(frames) == 1 else b"".join(frames)
