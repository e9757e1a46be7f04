"""Turns a model server's reply, OpenAI chat completion chunks with llama.cpp's additions, into events."""

import re
from collections.abc import Iterable

import msgspec

from gateway.contract.errors import GatewayError, ProtocolViolation, UpstreamFailed
from gateway.contract.events import BROKEN_REASONS, Delta, Done, Reasoning, TransportEvent, finish_reason
from gateway.contract.record import replace
from transports.lenient.error_words import plain_words, upstream_error
from transports.lenient.loose_json import WholeCharacters, decode_loosely, peek
from transports.llama.chunk_template import ChunkTemplate
from transports.llama.chunks import (
    Choice,
    Chunk,
    Message,
    decode_strictly,
    is_mere_usage,
    raise_error,
)
from transports.llama.event_lists import in_one_piece, is_visible
from transports.llama.failures import broke_off
from transports.llama.loose_chunks import rare_message, read_loosely, why_broken
from transports.llama.measurements import Measurements
from transports.llama.sse_framer import ErrorData, SseFramer
from transports.llama.tool_calls import ToolCalls
from transports.llama.words import ENDS, NOTHING, word_in

_END = b"[DONE]"
_STREAM = (b"data:", b"event:", b"error:", b"id:", b"retry:", b":")
_NAMES = re.compile(rb"(?:data:\s*)+")
_UNFINISHED = ("null", "none")  # finish reasons: some servers write null as text


class ChunkParser:
    """Turns the bytes of one streamed chat completion into transport events, in order and unmerged.

    done: set when the reply is complete.
    finished: the server has sent a finish reason, and its usage may follow; or `done` or `failure` is set.
    spoke: it has sent something that a reader sees.
    failure: an error behind the events returned last; the next feed raises it, so do not wait for bytes.

    Every frame is decoded strictly first, and loosely if that fails: only text, tool calls and errors decide
    how a reply ends. goes_on: another parser has read the beginning of the stream.
    """

    __slots__ = (
        "_broken",
        "_calls",
        "_finish_reason",
        "_framer",
        "_loose",
        "_measurements",
        "_model",
        "_template",
        "_text",
        "_thinking",
        "done",
        "failure",
        "finished",
        "spoke",
    )

    def __init__(self, *, goes_on: bool = False) -> None:
        self.done: Done | None = None
        self.failure: GatewayError | None = None
        self.finished = False
        self._framer = SseFramer()
        self._template = ChunkTemplate()
        self._calls = ToolCalls()
        self._finish_reason: str | None = None
        self._broken: GatewayError | None = None
        self._model: str | None = None
        self.spoke = goes_on
        self._measurements = Measurements()
        # Only frames that strict decoding refuses can contain halves of characters.
        self._loose = False
        self._text = WholeCharacters()
        self._thinking = WholeCharacters()

    @property
    def unfinished_bytes(self) -> int | None:
        """Bytes after the latest event; None if another parser cannot go on there."""
        return None if self._calls or self.finished or self._loose else self._framer.unfinished_bytes

    def feed(self, received: bytes) -> list[TransportEvent]:
        """Return the events that `received` completes, often none.

        Raises UpstreamFailed or ContextExceeded for an error that the server reports, and ProtocolViolation
        for other data. If events precede the error in the same bytes, sets `failure` instead.
        """
        if self.failure is not None:
            raise self.failure
        if self._framer.between_events and (text := self._template.text_in_event(received)) is not None:
            return [Delta(text)]  # a chunk like an earlier one, as in most reads of a paced stream
        events: list[TransportEvent] = []
        try:
            frames, at = self._framer.feed(received), 0
            while at < len(frames):
                texts = self._template.texts_in(frames, at)
                events += map(Delta, texts)
                if not texts:
                    self._read(frames[at], events)
                at += len(texts) or 1
        except _StreamEnd:
            pass
        except GatewayError as failure:
            if not events:
                raise
            self.failure = failure
            self.finished = True
        if not self.spoke and events:
            self.spoke = is_visible(events)
        self.finished = self.finished or self._framer.holds_done
        return events

    def eof(self, said: Iterable[TransportEvent] = ()) -> list[TransportEvent]:
        """End the stream: return the last events, behind `said`, the events of the same read.

        Raises UpstreamFailed if the reply is not complete. If there are events, sets `failure` instead.
        """
        if self.failure is not None:
            raise self.failure
        events = list(said)
        try:
            self._read_unfinished(events)
            if self.done is None:
                if self._finish_reason is None:
                    if not (events or self.spoke) and (words := self._framer.plain_words()):
                        raise upstream_error(words)
                    raise broke_off(UpstreamFailed("the model server broke off in the middle of the reply"))
                self._close(events)
        except GatewayError as failure:
            if not events:
                raise
            self.failure = failure
        return events

    def whole(self, body: bytes) -> list[TransportEvent]:
        """Take a completion that arrived as one JSON object, whose events are in `done`. See feed for errors.

        Returns events only if the body is a stream with the wrong content type.
        """
        if body.lstrip(b"\xef\xbb\xbf \r\n").startswith(_STREAM):  # with the wrong content type
            events = self.feed(body)
            return events if self.done is not None or self.failure is not None else self.eof(events)
        parts: list[TransportEvent] = []
        try:
            self._read(body, parts)
        except _StreamEnd:
            return parts
        if self._finish_reason is None and not parts and not self._calls:
            raise ProtocolViolation("the model server answered with JSON that is no chat completion")
        self._close(parts)
        self.done = replace(self.completed(), whole=tuple(in_one_piece(parts)))
        return []

    def completed(self) -> Done:
        """Return `done`, or raise."""
        if self.failure is not None:
            raise self.failure
        if self.done is None:
            raise ProtocolViolation("the model server's reply has no end")
        return self.done

    def _read(self, frame: bytes, events: list[TransportEvent]) -> None:
        if frame == _END:
            self._close(events)
            raise _StreamEnd
        try:
            chunk = decode_strictly(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            reread = self._reread(frame, events)
            if reread is None:
                return
            chunk = reread
        else:
            if (not chunk.choices or chunk.error) and not is_mere_usage(chunk, frame):
                raise_error(peek(frame), frame)
            self._template.learn(frame, chunk)
        if chunk.choices:
            for choice in chunk.choices:
                if choice.index == 0:
                    self._take(choice, frame, events)
        if chunk.prompt_progress is not None:
            events += chunk.prompt_progress.events
        if chunk.model:
            self._model = chunk.model
        self._measurements.take(chunk.usage, chunk.timings)
        if chunk.x_groq is not None:
            self._measurements.take(chunk.x_groq.counts(), None)

    def _reread(self, frame: bytes, events: list[TransportEvent]) -> Chunk | None:
        """Return the chunk in a frame that strict decoding refuses; None if it contains nothing to use."""
        text = frame.strip()
        word = word_in(text)
        if word in ENDS:
            self._close(events)
            raise _StreamEnd
        if word in NOTHING and not isinstance(frame, ErrorData):
            return None
        if (again := _NAMES.match(text)) is not None:  # some proxies write the field's name twice
            self._read(text[again.end() :], events)
            return None
        try:
            said = decode_loosely(text, "surrogateescape")
        except ValueError as exc:
            if isinstance(frame, ErrorData):
                raise upstream_error(text.decode(errors="replace")) from None
            raise_error(peek(text), frame)
            if b"\n" not in text:
                if (words := plain_words(text)) is not None:
                    raise upstream_error(words) from None
                raise ProtocolViolation(f"the model server sent what is no chat completion: {exc}") from exc
            for line in text.split(b"\n"):  # events without blank lines between them
                self._read(line, events)
            return None
        raise_error(said, frame)
        if isinstance(said, str) and said.strip():
            raise upstream_error(said)
        if not isinstance(said, dict) and not (isinstance(said, list) and any(said)):
            return None  # null, a number or nothing
        self._loose = True
        self._template = ChunkTemplate()  # the next text may belong to half a character of this frame
        return read_loosely(said)

    def _read_unfinished(self, events: list[TransportEvent]) -> None:
        for frame in self._framer.unfinished():
            try:
                self._read(frame, events)
            except _StreamEnd:
                return
            except ProtocolViolation:  # cut off in the middle
                return

    def _take(self, choice: Choice, frame: bytes, events: list[TransportEvent]) -> None:
        message = choice.delta
        if message is None or self._loose or not message.content:
            message = self._message(choice, frame, events)
        if message is not None:
            if thought := message.reasoning_content or message.reasoning:
                events.append(Reasoning(thought))
            if content := message.content:
                events.append(Delta(content))
            if message.tool_calls:
                self._calls.add(message.tool_calls)
        if choice.finish_reason:
            self._measurements.take(choice.usage, None)
            self._finish(choice.finish_reason, frame, events)

    def _message(self, choice: Choice, frame: bytes, events: list[TransportEvent]) -> Message | None:
        """Return the message of an unusual choice: without delta or text, or read loosely."""
        message = choice.delta
        if message is None or not message.says_something:
            repeats = self.spoke or self._calls or is_visible(events)  # as a whole message after deltas does
            message = (None if repeats else choice.message) or message
        if message is None or not message.says_something:
            message = rare_message(frame)
        if message is not None and self._loose:
            message.content = self._text.add(message.content or "")
            thought = message.reasoning_content or message.reasoning or ""
            message.reasoning_content = self._thinking.add(thought)
            message.reasoning = None
        return message

    def _finish(self, reason: str, frame: bytes, events: list[TransportEvent]) -> None:
        if reason.lower() in _UNFINISHED:
            return
        # With calls `stop` becomes `tool_calls`; without, clients would look for calls that are not there.
        self._finish_reason = "stop" if reason.strip().lower() == "tool_calls" else reason
        self.finished = True
        if reason.lower() in BROKEN_REASONS:
            self._broken = why_broken(frame)
        self._end_text(events)

    def _end_text(self, events: list[TransportEvent]) -> None:
        if thought := self._thinking.rest():
            events.append(Reasoning(thought))
        if text := self._text.rest():
            events.append(Delta(text))

    def _close(self, events: list[TransportEvent]) -> None:
        """Append the events held until the end: tool calls, usage, Done."""
        if self._broken is not None:
            raise self._broken
        calls = self._calls.whole()
        reason = finish_reason(self._finish_reason, called=bool(calls))
        self._end_text(events)
        if self._finish_reason is None and not (calls or self.spoke or is_visible(events)):
            raise UpstreamFailed("the model server ended the reply before it had begun")
        events += calls
        if (usage := self._measurements.usage()) is not None:
            events.append(usage)
        self.done = Done(reason, self._model)
        self.finished = True


class _StreamEnd(Exception):
    """The stream ended with `[DONE]`; Done is set."""
