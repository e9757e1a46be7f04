"""One attempt at one worker: puts its frames in order and turns them into events."""

from typing import Any

from msgspec import UnsetType

from gateway.contract.errors import FrameGap, ProtocolViolation, UpstreamFailed
from gateway.contract.events import (
    Delta,
    Done,
    Progress,
    Reasoning,
    ToolCall,
    TransportEvent,
    finish_reason,
)
from gateway.contract.record import replace
from transports.lenient.loose_json import WholeCharacters, mended, whole_arguments
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    CallField,
    ChunkFrame,
    EndFrame,
    Numbered,
    ProgressFrame,
    ReasoningFrame,
    Tokens,
    ToolCallFrame,
    VectorsFrame,
    Whole,
)
from transports.mqtt.requests.presence import KnownWorker

HOLE_S = 2.0
"""Seconds in which a missing frame may still arrive."""
MAX_EARLY_FRAMES = 1_000
MAX_REPLY_BYTES = 16 * 1024 * 1024
"""Limit of all frames of a reply together, because the reply is held in memory until it ends."""


class Attempt:
    """Takes frames from the MQTT reader and turns them into events.

    id: unique, so that no other frames are taken for this attempt's.
    heard_at: time of the latest frame; None before the first.
    hole_since: time since which a frame is missing; None if none is.
    visible: readers have seen something of the reply.
    events: events not pushed yet.
    ended: no more frames will arrive.
    done: a Done, set when the reply is complete; for an embed the Embeddings.
    """

    __slots__ = (
        "_call_ids",
        "_early",
        "_length",
        "_model",
        "_next",
        "_size",
        "_text",
        "_thinking",
        "done",
        "ended",
        "events",
        "heard_at",
        "hole_since",
        "id",
        "sent_at",
        "visible",
        "worker",
    )

    def __init__(
        self,
        id: str,
        worker: KnownWorker,
        *,
        model: str | None,
        now: float,
    ) -> None:
        self.id = id
        self.worker = worker
        self.sent_at = now
        self.heard_at: float | None = None
        self.hole_since: float | None = None
        self.visible = False
        self.ended = False
        self.done: Any = None
        self.events: list[TransportEvent] = []
        self._model = model
        self._next = 0
        self._length = 0
        self._size = 0
        self._early: dict[int, Numbered] = {}
        self._text = WholeCharacters()
        self._thinking = WholeCharacters()
        self._call_ids: set[str] = set()

    @property
    def is_taken(self) -> bool:
        """True if the worker has the request: it sent a frame, or it never promised an accept."""
        return self.heard_at is not None or self.worker.status.accept_s is None

    def due(self, idle_s: float) -> float:
        """Return the time at which the attempt fails, if no frame arrives; infinity without an accept_s."""
        if self.heard_at is None:
            accept_s = self.worker.status.accept_s
            return float("inf") if accept_s is None else self.sent_at + accept_s
        due = self.heard_at + idle_s
        return due if self.hole_since is None else min(due, self.hole_since + HOLE_S)

    def take(self, frame: Numbered | Whole | VectorsFrame, size: int, now: float) -> None:
        """Take one frame of `size` bytes.

        A repeated frame is dropped, an early one waits for those before it. Raises FrameGap if text is lost;
        ProtocolViolation for a frame that is not allowed here; UpstreamFailed if the frames together exceed
        MAX_REPLY_BYTES, or if the model broke off.
        """
        self.heard_at = now
        expected = self._next
        if type(frame) is ChunkFrame and frame.seq == expected and not self._early:  # nearly all frames
            self._add(size)
            self._next = expected + 1
            if text := self._text.add(frame.text):
                self._say_text(text)
            return
        if isinstance(frame, Whole | VectorsFrame):
            self._add(size)
            if isinstance(frame, VectorsFrame):
                raise ProtocolViolation("the worker sent vectors for a question")
            self._say_whole(frame)
            return
        if frame.seq >= expected:
            self._add(size)
        if frame.seq == expected or (frame.seq == 1 and expected == 0):  # `accept` is optional
            self._next = frame.seq + 1
            self._say(frame)
            if self._early:
                self._say_early(now)
        elif frame.seq > expected:
            self._early[frame.seq] = frame
            if self.hole_since is None:
                self.hole_since = now
            if len(self._early) > MAX_EARLY_FRAMES:
                raise FrameGap(f"frame {expected} of the reply is missing")

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > MAX_REPLY_BYTES:
            raise UpstreamFailed(f"the reply is larger than {MAX_REPLY_BYTES // 2**20} MiB")

    def _say_early(self, now: float) -> None:
        while (frame := self._early.pop(self._next, None)) is not None:
            self._next += 1
            self._say(frame)
        self.hole_since = now if self._early else None

    def _say(self, frame: Numbered) -> None:
        """Turn one frame into events. Other kinds (Alive) have no content."""
        if isinstance(frame, ChunkFrame):
            if text := self._text.add(frame.text):
                self._say_text(text)
        elif isinstance(frame, ReasoningFrame):
            if text := self._thinking.add(frame.text):
                self.visible = True
                self.events.append(Reasoning(text))
        elif isinstance(frame, ToolCallFrame):
            self._say_call(frame.call)
        elif isinstance(frame, ProgressFrame):
            self.events.append(Progress(frame.phase, frame.position, frame.processed, frame.total))
        elif isinstance(frame, AcceptFrame):
            if frame.queue:
                self.events.append(Progress("queued", position=frame.queue))
        elif isinstance(frame, EndFrame):
            self._say_end(frame)

    def _say_text(self, text: str) -> None:
        self.visible = True
        self._length += len(text)
        self.events.append(Delta(text))

    def _say_call(self, call: CallField) -> None:
        self.visible = True
        call_id = call.id or f"call_{len(self._call_ids)}"
        if call_id in self._call_ids:
            call_id = f"{call_id}_{len(self._call_ids)}"
        self._call_ids.add(call_id)
        self.events.append(ToolCall(call_id, call.name, whole_arguments(call.arguments)))

    def _say_end(self, frame: EndFrame) -> None:
        if text := self._text.rest():
            self._say_text(text)
        if frame.length is not None and frame.length != self._length:
            raise FrameGap(f"the reply has {self._length} of {frame.length} characters")
        self._finish(frame.usage, frame.reason)

    def _say_whole(self, frame: Whole) -> None:
        if self.visible:
            raise ProtocolViolation("the worker sent a whole reply after parts of one")
        if frame.text:
            self.events.append(Delta(mended(frame.text)))
        self._finish(frame.usage, frame.reason, whole=True)

    def _finish(self, tokens: Tokens | UnsetType | None, reason: str, *, whole: bool = False) -> None:
        self._early.clear()
        self.ended = True
        done = Done(finish_reason(reason, called=bool(self._call_ids)), self._model)
        usage = tokens.as_usage() if isinstance(tokens, Tokens) else None
        if usage is not None:
            self.events.append(usage)
        if whole:
            self.events, done = [], replace(done, whole=tuple(self.events))
        self.done = done
