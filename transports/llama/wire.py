"""What a model server says: OpenAI chat completion chunks, and llama.cpp's additions to them."""

from typing import Any

import msgspec

from gateway.contract.errors import ProtocolViolation, TransportError, UpstreamFailed
from gateway.contract.events import (
    Delta,
    Done,
    Granularity,
    Progress,
    Reasoning,
    ToolCall,
    TransportEvent,
    Usage,
    finish_reason,
)
from transports.llama.failures import broke_off, error_message
from transports.llama.sse import SseFramer


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _CallPart(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None  # llama.cpp, DeepSeek
    reasoning: str | None = None  # vLLM, OpenRouter
    tool_calls: list[_CallPart] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Timings(msgspec.Struct, gc=False):
    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0
    predicted_per_second: float | None = None


class _PromptProgress(msgspec.Struct, gc=False):
    processed: int = 0
    total: int = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    prompt_progress: _PromptProgress | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class ChunkParser:
    """Turns the bytes of one streamed chat completion into transport events, in order and unmerged.

    `ended`: Done has been given. `failure`: what went wrong after the events that were given last;
    feed raises it, and a caller that has handed those on should not wait for more bytes first.
    """

    __slots__ = ("_call", "_finish_reason", "_framer", "_model", "_timings", "_usage", "ended", "failure")

    def __init__(self) -> None:
        self.ended = False
        self.failure: TransportError | None = None
        self._framer = SseFramer()
        self._call: _Call | None = None
        self._finish_reason: str | None = None
        self._model: str | None = None
        self._usage: _Usage | None = None
        self._timings: _Timings | None = None

    def feed(self, received: bytes) -> list[TransportEvent]:
        """Events that `received` completes, often none.

        Raises UpstreamFailed for an error that the server reports, ProtocolViolation for what is no chat
        completion; where events came before it in the same bytes, `failure` is set instead.
        """
        if self.failure is not None:
            raise self.failure
        events: list[TransportEvent] = []
        try:
            for frame in self._framer.feed(received):
                if frame == b"[DONE]":
                    self._close(events)
                    break
                self._read(frame, events)
        except TransportError as failure:
            if not events:
                raise
            self.failure = failure
        return events

    def eof(self) -> list[TransportEvent]:
        """The last events, when the stream has ended; raises UpstreamFailed if that was too early."""
        if self.failure is not None:
            raise self.failure
        events: list[TransportEvent] = []
        if self._finish_reason is None and self._framer.unfinished() != b"[DONE]":
            raise broke_off(UpstreamFailed("the model server broke off in the middle of the reply"))
        self._close(events)
        return events

    def whole(self, body: bytes) -> list[TransportEvent]:
        """Events of a completion that came unstreamed, as one JSON object."""
        events: list[TransportEvent] = []
        self._read(body, events)
        if self._finish_reason is None and not events:
            raise ProtocolViolation("the model server answered with JSON that is no chat completion")
        self._close(events, "message")
        return events

    def _read(self, frame: bytes, events: list[TransportEvent]) -> None:
        try:
            chunk = _decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ProtocolViolation(f"the model server sent what is no chat completion: {exc}") from exc
        if chunk.error is not None:
            raise UpstreamFailed(error_message(chunk.error) or "the model server failed without saying why")
        if chunk.choices:
            for choice in chunk.choices:
                if choice.index == 0:
                    self._read_choice(choice, events)
        if chunk.prompt_progress is not None:
            progress = chunk.prompt_progress
            events.append(Progress("prompt", processed=progress.processed, total=progress.total))
        if chunk.model:
            self._model = chunk.model
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.timings is not None:
            self._timings = chunk.timings

    def _read_choice(self, choice: _Choice, events: list[TransportEvent]) -> None:
        message = choice.delta or choice.message
        if message is not None:
            if thought := message.reasoning_content or message.reasoning:
                events.append(Reasoning(thought))
            if message.content:
                events.append(Delta(message.content))
            if message.tool_calls:
                for part in message.tool_calls:
                    self._read_call(part, events)
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason
            self._say_call(events)

    def _read_call(self, part: _CallPart, events: list[TransportEvent]) -> None:
        function = part.function or _Function()
        call = self._call
        # Some servers number nothing and send each call whole: there a name begins the next one.
        index = part.index
        if index is None:
            index = call.index + bool(function.name) if call is not None else 0
        if call is None or call.index != index:
            self._say_call(events)
            self._call = call = _Call(index)
        call.id = call.id or part.id
        call.name = call.name or function.name
        if function.arguments:
            call.arguments.append(function.arguments)

    def _say_call(self, events: list[TransportEvent]) -> None:
        call, self._call = self._call, None
        if call is not None:
            if call.name is None:
                raise ProtocolViolation("the model server sent a tool call without a name")
            call_id = call.id or f"call_{call.index}"
            events.append(ToolCall(call_id, call.name, "".join(call.arguments)))

    def _close(self, events: list[TransportEvent], granularity: Granularity = "token") -> None:
        self._say_call(events)
        if (usage := self._measured()) is not None:
            events.append(usage)
        events.append(Done(finish_reason(self._finish_reason), self._model, granularity))
        self.ended = True

    def _measured(self) -> Usage | None:
        """What the server counted; llama.cpp's timings stand in where it was not asked for usage."""
        timings, usage = self._timings, self._usage
        tokens_per_s = timings.predicted_per_second if timings is not None else None
        if usage is not None:
            read, made = usage.prompt_tokens, usage.completion_tokens
        elif timings is not None:
            read, made = timings.cache_n + timings.prompt_n, timings.predicted_n
        else:
            return None
        return Usage(read, made, read + made, tokens_per_s)


class _Call:
    """A tool call that is still being written."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []
