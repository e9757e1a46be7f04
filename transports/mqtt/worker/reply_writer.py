"""Writes one reply as numbered frames, with small tokens collected into fewer messages."""

from asyncio import TimerHandle
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec import UNSET, UnsetType

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
from transports.mqtt.link.link import Envelope
from transports.mqtt.protocol.error_frames import error_frame
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import (
    LARGEST,
    AcceptFrame,
    AliveFrame,
    CallField,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    ProgressFrame,
    ReasoningFrame,
    Tokens,
    ToolCallFrame,
    Whole,
)
from transports.mqtt.worker.frame_sender import UNANSWERED_MAX, FrameSender

AMPLE_AROUND_TEXT = 1_024
"""Bytes; more than any chunk has besides its text."""
LONGEST_ESCAPE = 6
"""Largest number of bytes for one code point in JSON (a control character becomes `\\u0000`)."""


class ReplyWriter:
    """Writes the frames of one reply to its sender, at once and in order. Await `written` for back pressure.

    The first text is sent at once; later text and reasoning wait until `coalesce_s` after the last message,
    or for `coalesce_bytes`. After a numbered frame that the link refused, only an `error` is sent.

    ended: the last frame (`end`, `reply` or `error`) was sent; nothing follows it.

    Args:
        whole: send one `reply` frame instead of chunks if the text fits, without reasoning and progress.
        alive_s: silence in seconds after which an `alive` is sent.
        encode: returns a frame's payload.
        envelope: of all messages except text.
    """

    def __init__(
        self,
        sender: FrameSender,
        id: str,
        *,
        whole: bool,
        coalesce_s: float,
        coalesce_bytes: int,
        alive_s: float,
        clock: Clock,
        encode: Callable[[Frame], bytes] = encode,
        envelope: Envelope | None = None,
    ) -> None:
        self._sender = sender
        self._id = id
        self._whole = whole
        self._coalesce_s = coalesce_s
        self._coalesce_bytes = coalesce_bytes
        self._alive_s = alive_s
        self._clock = clock
        self._encode = encode
        self._envelope = envelope
        self._seq = 0
        self._text: list[str] = []
        self._text_bytes = 0
        self._text_kind: type[ChunkFrame | ReasoningFrame] = ChunkFrame
        self._written_kind: type[ChunkFrame | ReasoningFrame] | None = None
        self._length = 0
        self._usage: Usage | None = None
        self._said = False
        self._said_at = self._clock.time()
        self._flush_timer: TimerHandle | None = None
        self._alive_timer: TimerHandle | None = None
        self._refused: GatewayError | None = None
        self.ended = False

    def accept(self, queue: int = 0) -> None:
        """Send `accept`. queue: the request's place; 0 starts at once, 1 is next."""
        self._send(AcceptFrame(self._id, self._seq, queue))
        self._alive_timer = self._clock.call_at(self._said_at + self._alive_s, self._stay_alive)

    def say(self, batch: Sequence[TransportEvent]) -> None:
        """Write one batch of the reply.

        Raises TooLarge for a tool call that does not fit into a message, and Overloaded if the link is full.
        """
        self._take(batch)
        if not self._text or self._whole:
            return
        due = self._said_at + self._coalesce_s
        is_first = self._text_kind is not self._written_kind
        if is_first or self._text_bytes >= self._coalesce_bytes or due <= self._clock.time():
            self.flush()
        elif self._flush_timer is None:
            self._flush_timer = self._clock.call_at(due, partial(self._in_timer, self.flush))

    def _take(self, batch: Sequence[TransportEvent]) -> None:
        for event in batch:
            if isinstance(event, Delta):
                self._gather(ChunkFrame, event.text)
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, ToolCall):
                self.flush()
                call = CallField(event.id, event.name, event.arguments)
                self._say_visibly(ToolCallFrame(self._id, self._next_seq(), call))
            elif self._whole:
                pass
            elif isinstance(event, Reasoning):
                self._gather(ReasoningFrame, event.text)
            else:
                self.flush()
                self._say_progress(event)

    @property
    def has_receipts(self) -> bool:
        """True if `written` has something to wait for, or an error to raise."""
        return self._refused is not None or self._sender.has_receipts

    async def written(self, at_most: int = UNANSWERED_MAX) -> bool:
        """Wait while more than `at_most` messages are unacknowledged; False if a lost connection had one.

        Raises Overloaded if the link refused a message that a timer wrote.
        """
        if not await self._sender.written(at_most):
            return False
        if self._refused is not None:
            raise self._refused
        return True

    def fail(self, error: GatewayError) -> None:
        """Send the text that waits, so that the reader has it, then the error.

        Does nothing after the last frame.
        """
        if self.ended:
            return
        with suppress(GatewayError):
            if not self._whole and self._refused is None:
                self.flush()
        with suppress(GatewayError):  # a full link cannot send the error
            self._send_last(error_frame(self._id, error))

    def fits(self, text: str) -> bool:
        """True if the text fits into one message."""
        room = self._sender.room() - AMPLE_AROUND_TEXT
        return LONGEST_ESCAPE * len(text) <= room or len(self._encode(Whole(self._id, text))) <= room

    def close(self) -> None:
        """Stop the timers."""
        for timer in (self._flush_timer, self._alive_timer):
            if timer is not None:
                timer.cancel()

    def end(self, done: Done) -> None:
        """Write the events in `done`, if any, and the last frame. Raises as `say` does."""
        if done.whole is not None:
            self._take(done.whole)
        if self._text_kind is not ChunkFrame:
            self.flush()
        tokens = _tokens(self._usage)
        if (self._whole or done.granularity == "message") and not self._said:
            text = "".join(self._text)
            if self.fits(text):
                self._text.clear()
                self._send_last(Whole(self._id, text, done.reason, tokens))
                return
        self.flush()
        self._send_last(EndFrame(self._id, self._next_seq(), done.reason, tokens, self._length))

    def end_with(self, frame: Frame) -> None:
        """Write this last frame. Raises TooLarge if it does not fit into a message."""
        self._send_last(frame)

    def _gather(self, kind: type[ChunkFrame | ReasoningFrame], text: str) -> None:
        if kind is not self._text_kind:
            self.flush()
            self._text_kind = kind
        self._text.append(text)
        self._text_bytes += len(text.encode())

    def flush(self) -> None:
        """Send the text that waits."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        text = "".join(self._text)
        self._text.clear()
        self._text_bytes = 0
        longest = self._longest_text(text)
        for at in range(0, len(text), longest):
            self._say_visibly(self._text_kind(self._id, self._next_seq(), text[at : at + longest]))
        if text:
            self._written_kind = self._text_kind
        if self._text_kind is ChunkFrame:
            self._length += len(text)

    def _longest_text(self, text: str) -> int:
        """Return the number of code points of `text` that fit into one message, even if all are escaped."""
        room = self._sender.room()
        if AMPLE_AROUND_TEXT + LONGEST_ESCAPE * len(text) <= room:
            return max(1, len(text))
        around = len(self._encode(self._text_kind(self._id, LARGEST, "")))
        return max(1, (room - around) // LONGEST_ESCAPE)

    def _say_progress(self, event: Progress) -> None:
        told = (event.phase, event.position, event.processed, event.total)
        self._send(ProgressFrame(self._id, self._next_seq(), *told))

    def _say_visibly(self, frame: Frame) -> None:
        self._said = True
        self._send(frame)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _send(self, frame: Frame) -> None:
        if self.ended:
            return
        self._said_at = self._clock.time()
        if self._refused is not None and not isinstance(frame, ErrorFrame):
            raise self._refused
        envelope = None if isinstance(frame, ChunkFrame | ReasoningFrame) else self._envelope
        try:
            self._sender.send(self._encode(frame), envelope)
        except GatewayError as error:
            self._refused = error
            raise

    def _send_last(self, frame: Frame) -> None:
        self._send(frame)
        self.ended = True
        self.close()

    def _stay_alive(self) -> None:
        if not self._sender.attached:
            self._said_at = self._clock.time()
        elif self._clock.time() - self._said_at >= self._alive_s:
            self._in_timer(self._say_alive)
        if self._refused is None:
            self._alive_timer = self._clock.call_at(self._said_at + self._alive_s, self._stay_alive)

    def _say_alive(self) -> None:
        self._send(AliveFrame(self._id, self._next_seq()))

    def _in_timer(self, write: Callable[[], None]) -> None:
        """Call `write` in a timer. `written` raises its error."""
        with suppress(GatewayError):
            write()


def _tokens(usage: Usage | None) -> Tokens | UnsetType:
    if usage is None:
        return UNSET
    return Tokens(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.tokens_per_s)
