"""AG-UI's dialect: RUN_STARTED first, RUN_FINISHED or RUN_ERROR last.

Source: AG-UI protocol, "Events"; the checks of `@ag-ui/client`.
"""

from collections.abc import Sequence
from typing import Any

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    Progress,
    ReaderEvent,
    Reason,
    Reasoning,
    Started,
    ToolCall,
)
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import SseDialect, data_frame


class AgUi(SseDialect):
    """Encodes one run of a thread.

    Args:
        thread_id: the client's `threadId`.
        run_id: the client's `runId`; None: the stream's id.
        reasoning: whether the client understands REASONING events; older ones fail at them.
    """

    name = "ag-ui"
    paced_by: PacedBy = "characters"
    bears_ids = False

    def __init__(self, thread_id: str = "", run_id: str | None = None, *, reasoning: bool = True) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self._reasoning = reasoning

    def encoder(self, stream_id: str) -> "AgUiEncoder":
        run = {"threadId": self._thread_id or stream_id, "runId": self._run_id or stream_id}
        return AgUiEncoder(stream_id, run, reasoning=self._reasoning)

    def refusal(self, error: GatewayError) -> bytes:
        return _frame("RUN_ERROR", {"message": str(error), "code": error.code})


class AgUiEncoder:
    """Encodes one reply. At most one message is open: text or reasoning, each with its own id."""

    def __init__(self, stream_id: str, run: dict[str, str], *, reasoning: bool) -> None:
        self._stream_id = stream_id
        self._run = run
        self._reasoning = reasoning
        self._messages = 0
        self._open: str | None = None
        self._message_id = ""
        self._before_text = b""

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (*self._text_opened(), self._before_text + json_bytes(event.text) + b"}\n\n")
        match event:
            case Started():
                return (_frame("RUN_STARTED", self._run),)
            case Progress():
                return (_frame("CUSTOM", {"name": "sluice.progress", "value": _known(event)}),)
            case Reasoning(text):
                if not self._reasoning:
                    return ()
                content = {"messageId": self._message_id, "delta": text}
                opening = self._reasoning_opened()
                content["messageId"] = self._message_id
                return (*opening, _frame("REASONING_MESSAGE_CONTENT", content))
            case ToolCall():
                return (*self._closed(), *self._tool_call(event))
            case Finished(reason, ending):
                return (*self._closed(), *_usage(ending), self._end("success", reason))
            case Cancelled(reason, ending):
                return (*self._closed(), *_usage(ending), self._end("cancelled", reason))
            case Failed():
                # Clients before 0.0.42 reject an error while a message is open.
                return (*self._closed(), _frame("RUN_ERROR", {"message": event.message, "code": event.code}))

    def _text_opened(self) -> Sequence[bytes]:
        if self._open == "text":
            return ()
        closing = self._closed()
        self._begin("text")
        self._before_text = (
            b'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":' + json_bytes(self._message_id) + b',"delta":'
        )
        start = {"messageId": self._message_id, "role": "assistant"}
        return (*closing, _frame("TEXT_MESSAGE_START", start))

    def _reasoning_opened(self) -> Sequence[bytes]:
        if self._open == "reasoning":
            return ()
        closing = self._closed()
        self._begin("reasoning")
        named = {"messageId": self._message_id}
        start = _frame("REASONING_MESSAGE_START", {**named, "role": "reasoning"})
        return (*closing, _frame("REASONING_START", named), start)

    def _begin(self, kind: str) -> None:
        self._open = kind
        self._messages += 1
        self._message_id = f"{kind}-{self._messages}-{self._stream_id}"

    def _closed(self) -> Sequence[bytes]:
        named = {"messageId": self._message_id}
        open_, self._open = self._open, None
        if open_ == "text":
            return (_frame("TEXT_MESSAGE_END", named),)
        if open_ == "reasoning":
            return (_frame("REASONING_MESSAGE_END", named), _frame("REASONING_END", named))
        return ()

    def _tool_call(self, call: ToolCall) -> Sequence[bytes]:
        start = {"toolCallId": call.id, "toolCallName": call.name, "parentMessageId": self._parent()}
        return (
            _frame("TOOL_CALL_START", start),
            _frame("TOOL_CALL_ARGS", {"toolCallId": call.id, "delta": call.arguments}),
            _frame("TOOL_CALL_END", {"toolCallId": call.id}),
        )

    def _parent(self) -> str:
        """Return the id of the message that has the tool calls: the text before them, or one of their own."""
        if self._message_id.startswith("text-"):
            return self._message_id
        return f"calls-{self._messages}-{self._stream_id}"

    def _end(self, outcome: str, reason: Reason) -> bytes:
        told = {**self._run, "outcome": {"type": outcome}, "result": {"stop_reason": reason}}
        return _frame("RUN_FINISHED", told)


def _usage(ending: Ending) -> Sequence[bytes]:
    """Return token counts and timing as a CUSTOM event, which clients pass to the application."""
    told: dict[str, Any] = {"delivery": ending.delivery, "mode": ending.mode}
    if ending.usage is not None:
        told["usage"] = {
            "input_tokens": ending.usage.prompt_tokens,
            "output_tokens": ending.usage.completion_tokens,
        }
    if ending.tokens_per_s is not None:
        told["tokens_per_s"] = ending.tokens_per_s
    if ending.ttft_ms is not None:
        told["ttft_ms"] = ending.ttft_ms
    return (_frame("CUSTOM", {"name": "sluice.usage", "value": told}),)


def _known(progress: Progress) -> dict[str, Any]:
    told = {
        "phase": progress.phase,
        "position": progress.position,
        "processed": progress.processed,
        "total": progress.total,
    }
    return {name: value for name, value in told.items() if value is not None}


def _frame(kind: str, fields: dict[str, Any]) -> bytes:
    return data_frame(json_bytes({"type": kind, **fields}))
