"""What a worker writes of one reply: numbered frames, small tokens gathered into fewer messages."""

from asyncio import Future, TimerHandle
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from gateway.contract.errors import GatewayError
from gateway.contract.events import (
    Delta,
    Done,
    Progress,
    Reasoning,
    ToolCall,
    TransportEvent,
    Usage,
)
from transports.mqtt.clock import Clock
from transports.mqtt.frames import (
    Accept,
    Alive,
    Call,
    Chunk,
    End,
    Frame,
    ProgressFrame,
    ReasoningChunk,
    Tokens,
    ToolCallFrame,
    Whole,
    encode,
    error_frame,
)
from transports.mqtt.link import Link, Receipt

UNANSWERED_MAX = 8
LONGEST_ESCAPE = 6
"""Bytes that JSON may make of one code point (a control character becomes `\\u0000`)."""
ROOM_AROUND_TEXT = 1_024


class ReplyWriter:
    """Everything is handed to the link at once and in order; `written` is the back pressure.

    whole: answer in one `reply` frame, if it fits into one, instead of chunks. The first text goes out at
    once; later text waits until `coalesce_s` after the last message or for `coalesce_bytes`.
    """

    def __init__(
        self,
        link: Link,
        topic: str,
        id: str,
        *,
        whole: bool,
        coalesce_s: float,
        coalesce_bytes: int,
        alive_s: float,
        clock: Clock,
    ) -> None:
        self._link = link
        self._topic = topic
        self._id = id
        self._whole = whole
        self._coalesce_s = coalesce_s
        self._coalesce_bytes = coalesce_bytes
        self._alive_s = alive_s
        self._clock = clock
        self._seq = 0
        self._text: list[str] = []
        self._text_bytes = 0
        self._length = 0
        self._usage: Usage | None = None
        self._said = False
        self._said_at = self._clock.time()
        self._flush_timer: TimerHandle | None = None
        self._alive_timer: TimerHandle | None = None
        self._unanswered: deque[Future[Receipt]] = deque()
        self._longest_text = max(1, (link.max_payload - ROOM_AROUND_TEXT) // LONGEST_ESCAPE)

    def accept(self) -> None:
        self._send(Accept(self._id, self._seq))
        self._alive_timer = self._clock.call_at(self._said_at + self._alive_s, self._say_alive)

    def say(self, batch: Sequence[TransportEvent]) -> None:
        """Write one batch of the reply; raises TooLarge for a tool call that no message can carry."""
        for event in batch:
            if isinstance(event, Delta):
                self._text.append(event.text)
                self._text_bytes += len(event.text.encode())
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, Done):
                self._end(event)
            else:
                self._flush()
                self._say_other(event)
        if not self._text or self._whole:
            return
        due = self._said_at + self._coalesce_s
        if not self._said or self._text_bytes >= self._coalesce_bytes or due <= self._clock.time():
            self._flush()
        elif self._flush_timer is None:
            self._flush_timer = self._clock.call_at(due, self._flush)

    async def written(self) -> bool:
        """Wait while too much is under way; False when the connection was lost."""
        while self._unanswered and (len(self._unanswered) > UNANSWERED_MAX or self._unanswered[0].done()):
            if await self._unanswered.popleft() is Receipt.LOST:
                return False
        return True

    def fail(self, error: GatewayError) -> None:
        """What is known of the text goes out before the error, so that the reader keeps it."""
        with suppress(GatewayError):  # a link that takes nothing more cannot be told
            if not self._whole:
                self._flush()
            self._send(error_frame(self._id, error))

    def close(self) -> None:
        """No timer writes any more."""
        for timer in (self._flush_timer, self._alive_timer):
            if timer is not None:
                timer.cancel()

    def _end(self, done: Done) -> None:
        text = "".join(self._text)
        tokens = _tokens(self._usage)
        in_one_piece = (self._whole or done.granularity == "message") and not self._said
        if in_one_piece and len(text) <= self._longest_text:
            self._text.clear()
            self._send(Whole(self._id, text, done.reason, tokens))
            return
        self._flush()
        self._send(End(self._id, self._next_seq(), done.reason, tokens, self._length))

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        text = "".join(self._text)
        self._text.clear()
        self._text_bytes = 0
        for piece in self._pieces(text):
            self._said = True
            self._send(Chunk(self._id, self._next_seq(), piece))
        self._length += len(text)

    def _say_other(self, event: Reasoning | ToolCall | Progress) -> None:
        self._said = True
        if isinstance(event, Reasoning):
            for piece in self._pieces(event.text):
                self._send(ReasoningChunk(self._id, self._next_seq(), piece))
        elif isinstance(event, ToolCall):
            call = Call(event.id, event.name, event.arguments)
            self._send(ToolCallFrame(self._id, self._next_seq(), call))
        else:
            progress = (event.phase, event.position, event.processed, event.total)
            self._send(ProgressFrame(self._id, self._next_seq(), *progress))

    def _pieces(self, text: str) -> list[str]:
        longest = self._longest_text
        return [text[at : at + longest] for at in range(0, len(text), longest)]

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _send(self, frame: Frame) -> None:
        self._said_at = self._clock.time()
        self._unanswered.append(self._link.publish(self._topic, encode(frame)))

    def _say_alive(self) -> None:
        now = self._clock.time()
        if now - self._said_at >= self._alive_s:
            self._send(Alive(self._id, self._next_seq()))
        self._alive_timer = self._clock.call_at(self._said_at + self._alive_s, self._say_alive)


def _tokens(usage: Usage | None) -> Tokens | None:
    if usage is None:
        return None
    return Tokens(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.tokens_per_s)
