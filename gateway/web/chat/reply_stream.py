"""The stream of a reply to one reader: follows the reply's journal and writes new events in a dialect.

This is the token path: it has no task and no timer per token, and writes all new events at once.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence

from gateway.contract.dialect import Dialect, Encoder
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent, Reasoning, ToolCall
from gateway.contract.journal import START, FellBehind, JournalReader, Position
from gateway.core.replays import Placed
from gateway.dialects.sse_frames import id_frame, retry_line, with_id
from gateway.web.http.asgi import Connection, Send
from gateway.web.http.sse_writer import RETRY_MS, Headers, Pulse, SseWriter

MAX_WRITE_BYTES = 16 * 1024

_MAX_MERGED_CHARS = 4 * 1024
_TERMINAL = (Finished, Cancelled, Failed)


class ReplyStream(SseWriter):
    """Streams one reply to one reader.

    Args:
        dialect: the encoder's dialect.
        with_ids: True to send positions as `id:`, so that a reader can resume.
        after: the position after which the stream begins.
    """

    __slots__ = (
        "_calls",
        "_chars",
        "_dialect",
        "_encoder",
        "_live",
        "_reader",
        "_seq",
        "_suffix",
        "_thoughts",
        "_untold",
        "_with_ids",
    )

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        encoder: Encoder,
        pulse: Pulse,
        *,
        with_ids: bool = False,
        after: Position = START,
    ) -> None:
        super().__init__(connection, pulse)
        self._dialect = dialect
        self._encoder = encoder
        self._untold = False
        self._with_ids = with_ids
        self._go_to(after)
        self._reader: JournalReader | None = None
        self._live = False

    @property
    def media_type(self) -> str:
        return self._dialect.media_type

    @property
    def heartbeat(self) -> bytes:
        return self._dialect.heartbeat

    async def serve(
        self, reader: JournalReader, send: Send, headers: Headers, before: Sequence[Placed] = ()
    ) -> None:
        """Answer the request with the stream. Returns at its end, or when its client disconnects.

        Args:
            reader: a reader that calls `hear`.
            before: events to write first, each with the position after it.
        """
        try:
            await asyncio.sleep(0)  # the task of a new reply asks the model first: the head takes 0.1 ms
            await self.begin(send, headers)
            for event, position in before:
                await self.put(send, self._placed_frame(event, position))
            if reader.begins_at is not None:
                self._go_to(reader.begins_at)
            self._reader = reader
            self.hear()
            self._live = True
            await self.until_over(send)
        finally:
            self._reader = None
            self.leave()

    async def serve_replay(self, send: Send, headers: Headers, told: Sequence[Placed]) -> None:
        """Answer with these events. The last one must be the end of the reply."""
        try:
            await self.begin(send, headers)
            for event, position in told:
                more = event is not told[-1][0]
                frame = self._placed_frame(event, position)
                if self._untold:
                    self.abort()
                    return
                await self.put(send, frame, more=more)
        finally:
            self.leave()

    def connection_lost(self) -> None:
        if not self.is_over:
            self._pulse.lost += 1
        super().connection_lost()

    def write_news(self) -> None:
        reader = self._reader
        if reader is None:
            return
        try:
            events = reader.take()
        except FellBehind:
            self.abort()  # the store has the rest, for when the reader resumes
            return
        if len(events) == 1 and type(event := events[0]) is Delta:
            # The token path: one event, one frame, one write.
            self._seq += 1
            self._chars += len(event.text)
            frames = self._encoder.frames(event)
            if len(frames) == 1 and not self._with_ids:
                self._connection.write_chunk(frames[0])  # as `write` does, without a call for each token
                self._wrote = True
            elif frame := self._joined(frames, event):
                self.write(frame)
        elif events:
            self._write(events)
        elif reader.at_end:
            self.abort()  # the journal has no end, so the response gets none

    def _write(self, events: Sequence[ReaderEvent]) -> None:
        last = events[-1]
        if self._live and self._with_ids and isinstance(last, Failed) and last.reason == "shutdown":
            # The reader resumes after the restart. Unless its dialect needs an end, it gets it then.
            writes = [*self._writes(events[:-1]), retry_line(random.randint(*RETRY_MS))]
            if self._dialect.needs_end:
                writes += self._writes(events[-1:])
            over = True
        else:
            writes = self._writes(events)
            over = type(last) in _TERMINAL
        last_write = writes.pop() if over and writes else b""
        for body in writes:  # events without a frame in this dialect do not delay the heartbeat
            self.write(body)
        if self._untold:
            if last_write:
                self.write(last_write)
            self.abort()
        elif over:
            self.end(last_write)

    def _writes(self, events: Sequence[ReaderEvent]) -> list[bytes]:
        """Return the events' frames, joined to writes of at most MAX_WRITE_BYTES (or one frame)."""
        if len(events) == 1:
            frame = self._frame(events[0], 1)
            return [frame] if frame else []
        writes: list[bytes] = []
        gathered: list[bytes] = []
        size = 0
        told = self._merged(events) if self._dialect.merges else ((event, 1) for event in events)
        for event, count in told:
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
        """Yield events with adjacent deltas merged, and the number merged. The first delta is not merged."""
        texts: list[str] = []
        chars = 0
        for event in events:
            if type(event) is Delta and self._chars and chars < _MAX_MERGED_CHARS:
                texts.append(event.text)
                chars += len(event.text)
                continue
            if texts:
                yield Delta("".join(texts)), len(texts)
                texts, chars = [], 0
            if type(event) is Delta and self._chars:
                texts, chars = [event.text], len(event.text)
            else:
                yield event, 1
        if texts:
            yield Delta("".join(texts)), len(texts)

    def _placed_frame(self, event: ReaderEvent, position: Position) -> bytes:
        self._go_to(position)
        return self._encoded(event)

    def _frame(self, event: ReaderEvent, count: int) -> bytes:
        """Return the bytes for an event merged from `count` journal entries; may be empty."""
        self._seq += count
        if type(event) is Delta:
            self._chars += len(event.text)
        elif type(event) is Reasoning:
            self._go_to(Position(self._seq, self._chars, self._thoughts + len(event.text), self._calls))
        elif type(event) is ToolCall:
            self._go_to(Position(self._seq, self._chars, self._thoughts, self._calls + 1))
        return self._encoded(event)

    def _go_to(self, position: Position) -> None:
        self._seq, self._chars = position.seq, position.chars
        self._thoughts, self._calls = position.thoughts, position.calls
        self._suffix = position.suffix

    def _encoded(self, event: ReaderEvent) -> bytes:
        return self._joined(self._encoder.frames(event), event)

    def _joined(self, frames: Sequence[bytes], event: ReaderEvent) -> bytes:
        """Return the frames of an event, the last one with the event's id."""
        if not frames and isinstance(event, Failed) and not self._dialect.bears_ids:
            self._untold = True  # this dialect has no error frame: abort the connection instead
        if self._with_ids:
            event_id = f"{self._seq}-{self._chars}{self._suffix}"
            if frames:
                # Only the last frame has the id, so that a partly received event is sent again.
                frames = [*frames[:-1], with_id(frames[-1], event_id)]
            elif isinstance(event, _TERMINAL):
                # This dialect has no end frame. With this id, a reader that reconnects gets 204.
                frames = [id_frame(event_id)]
        return frames[0] if len(frames) == 1 else b"".join(frames)
