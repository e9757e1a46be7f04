"""One reader's connection: follows a run's journal and writes what is new as Server-Sent Events.

This is the token path: no task and no timer per token; all that is new goes out in one send.
"""

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence

from gateway.contract.dialect import Encoder
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent
from gateway.contract.journal import START, FellBehind, JournalReader, Position
from gateway.core.replays import Placed
from gateway.dialects.frame import PING, id_frame, retry_frame, with_id
from gateway.web.http.asgi import Connection, Send

log = logging.getLogger("sluice.web")

MAX_WRITE_BYTES = 16 * 1024
RETRY_MS = (500, 3000)
"""When readers shall come back after a shutdown: not all at once."""

_MAX_MERGED_CHARS = 4 * 1024
_TERMINAL = (Finished, Cancelled, Failed)

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


Headers = Sequence[tuple[bytes, bytes]]


async def send_head(send: Send, headers: Headers = ()) -> None:
    """Answer a HEAD as a stream's GET would begin."""
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
    await send({"type": "http.response.body", "body": b""})


class Pulse:
    """Sends a heartbeat on every open stream on which nothing was written for `ping_s` seconds."""

    def __init__(self, ping_s: float) -> None:
        self.ping_s = ping_s
        self._streams: set[SseConnection] = set()

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
                stream.beat(silent_since)

    def watch(self, stream: "SseConnection") -> None:
        self._streams.add(stream)

    def leave(self, stream: "SseConnection") -> None:
        self._streams.discard(stream)


class SseConnection:
    """with_ids: events carry their position as `id:`, so that a reader that drops can come back."""

    __slots__ = (
        "_chars",
        "_connection",
        "_encoder",
        "_last",
        "_live",
        "_over",
        "_pulse",
        "_reader",
        "_seq",
        "_time",
        "_with_ids",
        "_written_at",
    )

    def __init__(
        self,
        connection: Connection,
        encoder: Encoder,
        pulse: Pulse,
        *,
        with_ids: bool = False,
        after: Position = START,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._connection = connection
        self._encoder = encoder
        self._pulse = pulse
        self._with_ids = with_ids
        self._seq = after.seq
        self._chars = after.chars
        self._reader: JournalReader | None = None
        self._time = loop.time
        self._written_at = loop.time()
        self._over = loop.create_future()
        self._last: bytes | None = None
        self._live = False

    async def serve(
        self, reader: JournalReader, send: Send, headers: Headers, before: Sequence[Placed] = ()
    ) -> None:
        """Answer the request with the stream; returns when it was told to its end or its client is gone.

        reader: opened with our `hear`. before: what is told first, each with the position behind it.
        """
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
        self._pulse.watch(self)
        try:
            for event, position in before:
                await self._send(send, self._placed_frame(event, position))
            if reader.begins_at is not None:
                self._seq, self._chars = reader.begins_at.seq, reader.begins_at.chars
            self._reader = reader
            self._connection.watch(self)
            self.hear()
            self._live = True
            await self._over
            if self._last is not None:
                await self._send(send, self._last, more=False)
        finally:
            self._reader = None
            self._connection.watch(None)
            self._pulse.leave(self)

    def hear(self) -> None:
        """Write all that is new, if the client can take it; called whenever there may be something."""
        reader = self._reader
        if reader is None or not self._connection.writable or self._over.done():
            return
        try:
            events = reader.take()
            if events:
                self._write(events)
            elif reader.at_end:
                # The log broke off without an end. So does the response, and the client knows.
                self._connection.abort()
        except FellBehind:
            # What it still wants is in the store: it finds it there when it comes back.
            self._connection.abort()
        except Exception:
            # Called by the run that appends: a bug in one reader's encoder must not end it for all.
            log.exception("a stream could not be written")
            self._connection.abort()

    def beat(self, silent_since: float) -> None:
        """See Pulse. A client that is behind gets no heartbeat: it has something to read."""
        if self._connection.writable and self._written_at <= silent_since:
            self._connection.write_chunk(PING)
            self._written_at = self._time()

    def connection_lost(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def connection_writable(self) -> None:
        self.hear()

    async def serve_replay(self, send: Send, headers: Headers, told: Sequence[Placed]) -> None:
        """Answer with what is told here, whose last is the reply's end."""
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
        self._pulse.watch(self)
        try:
            for event, position in told:
                more = event is not told[-1][0]
                await self._send(send, self._placed_frame(event, position), more=more)
        finally:
            self._pulse.leave(self)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        """Write outside of `hear`; waits for a client that is behind."""
        await send({"type": "http.response.body", "body": body, "more_body": more})
        self._written_at = self._time()

    def _write(self, events: Sequence[ReaderEvent]) -> None:
        last = events[-1]
        if isinstance(last, Delta) and len(events) == 1:
            # The token path: one event, one frame, one write.
            frame = self._frame(last, 1)
            if frame:
                self._connection.write_chunk(frame)
                self._written_at = self._time()
            return
        if self._live and self._with_ids and isinstance(last, Failed) and last.reason == "shutdown":
            # Its reader comes back, here or to our successor, and hears the end then.
            writes = [*self._writes(events[:-1]), retry_frame(random.randint(*RETRY_MS))]
            over = True
        else:
            writes = self._writes(events)
            over = isinstance(last, _TERMINAL)
        if over:
            self._last = writes.pop() if writes else b""
            self._over.set_result(None)
        for body in writes:
            self._connection.write_chunk(body)
        if writes:  # What a dialect keeps silent about puts no heartbeat off.
            self._written_at = self._time()

    def _writes(self, events: Sequence[ReaderEvent]) -> list[bytes]:
        """The events' frames, gathered into as few writes as MAX_WRITE_BYTES allows."""
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

    def _placed_frame(self, event: ReaderEvent, position: Position) -> bytes:
        self._seq, self._chars = position.seq, position.chars
        return self._encoded(event)

    def _frame(self, event: ReaderEvent, count: int) -> bytes:
        """The bytes for an event that stands for `count` entries of the journal; empty if there are none."""
        self._seq += count
        if isinstance(event, Delta):
            self._chars += len(event.text)
        return self._encoded(event)

    def _encoded(self, event: ReaderEvent) -> bytes:
        frames = self._encoder.frames(event)
        if self._with_ids:
            event_id = f"{self._seq}-{self._chars}"
            if frames:
                # An event of several frames is remembered only when its last one has arrived.
                frames = [*frames[:-1], with_id(frames[-1], event_id)]
            elif isinstance(event, _TERMINAL):
                # A dialect without a word for the end: who comes back behind it must know that it was told.
                frames = [id_frame(event_id)]
        return frames[0] if len(frames) == 1 else b"".join(frames)
