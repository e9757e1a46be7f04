"""The AI SDK's UI message stream, wire version v1.

Older clients fail at unknown types of chunks and at extra keys, so none are added.
Source: AI SDK documentation, "Stream protocols"; `uiMessageChunkSchema` of the packages.
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
from gateway.dialects.tool_arguments import readable

FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
}
_DONE = data_frame(b"[DONE]")


def chunk_in(frame: bytes) -> bytes | None:
    """Return the JSON of a frame; None for the last frame, which has none."""
    return None if frame is _DONE else frame[len(b"data: ") : -len(b"\n\n")]


class AiSdk(SseDialect):
    """Encodes one assistant message.

    Args:
        message_id: id of the client's message that a tool round continues; None: the stored message's id.
    """

    name = "ai-sdk"
    paced_by: PacedBy = "characters"
    bears_ids = False
    headers = ((b"x-vercel-ai-ui-message-stream", b"v1"),)

    def __init__(self, message_id: str | None = None) -> None:
        self._message_id = message_id

    def encoder(self, stream_id: str) -> "AiSdkEncoder":
        return AiSdkEncoder(self._message_id)

    def refusal(self, error: GatewayError) -> bytes:
        return _frame({"type": "error", "errorText": str(error)}) + _DONE


class AiSdkEncoder:
    """Encodes one reply. At most one part is open: text or reasoning, each with its own id."""

    def __init__(self, message_id: str | None) -> None:
        self._message_id = message_id
        self._parts = 0
        self._open: str | None = None
        self._part_id = ""
        self._before_delta = b""

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return self._more("text", event.text)
        match event:
            case Started():
                return self._start(event)
            case Progress():
                return (_progress(event),)
            case Reasoning(text):
                return self._more("reasoning", text)
            case ToolCall():
                return (*self._closed(), *_tool_call(event))
            case Finished(reason, ending):
                return (*self._finish_step(), _finish(reason, ending), _DONE)
            case Cancelled(_, ending):
                told = {"type": "message-metadata", "messageMetadata": metadata_json(ending)}
                return (*self._finish_step(), _frame(told), _frame({"type": "abort"}), _DONE)
            case Failed():
                return (_frame({"type": "error", "errorText": event.message}), _DONE)

    def _start(self, event: Started) -> Sequence[bytes]:
        start = {"type": "start"}
        message_id = self._message_id or event.assistant_message_uuid
        if message_id:
            start["messageId"] = message_id
        return _frame(start), _frame({"type": "start-step"})

    def _more(self, kind: str, text: str) -> Sequence[bytes]:
        opening = self._opened(kind)
        return (*opening, self._before_delta + json_bytes(text) + b"}\n\n")

    def _opened(self, kind: str) -> Sequence[bytes]:
        if self._open == kind:
            return ()
        closing = self._closed()
        self._parts += 1
        self._open, self._part_id = kind, f"{kind}-{self._parts}"
        self._before_delta = f'data: {{"type":"{kind}-delta","id":"{self._part_id}","delta":'.encode()
        return (*closing, _frame({"type": f"{kind}-start", "id": self._part_id}))

    def _closed(self) -> Sequence[bytes]:
        if self._open is None:
            return ()
        kind, self._open = self._open, None
        return (_frame({"type": f"{kind}-end", "id": self._part_id}),)

    def _finish_step(self) -> Sequence[bytes]:
        return (*self._closed(), _frame({"type": "finish-step"}))


def _tool_call(call: ToolCall) -> Sequence[bytes]:
    named = {"toolCallId": call.id, "toolName": call.name}
    return (
        _frame({"type": "tool-input-start", **named}),
        _frame({"type": "tool-input-delta", "toolCallId": call.id, "inputTextDelta": call.arguments}),
        _frame({"type": "tool-input-available", **named, "input": readable(call.arguments)}),
    )


def _progress(event: Progress) -> bytes:
    told = {
        "phase": event.phase,
        "position": event.position,
        "processed": event.processed,
        "total": event.total,
    }
    data = {name: value for name, value in told.items() if value is not None}
    return _frame({"type": "data-sluice", "data": data, "transient": True})


def _finish(reason: Reason, ending: Ending) -> bytes:
    finish = {"type": "finish", "finishReason": FINISH_REASONS.get(reason, "other")}
    return _frame({**finish, "messageMetadata": metadata_json(ending)})


def metadata_json(ending: Ending) -> dict[str, Any]:
    """Return the metadata of a finished message. Unknown values are absent."""
    told: dict[str, Any] = {"delivery": ending.delivery, "mode": ending.mode}
    if ending.usage is not None:
        told["usage"] = {
            "input_tokens": ending.usage.prompt_tokens,
            "output_tokens": ending.usage.completion_tokens,
            "total_tokens": ending.usage.total_tokens,
        }
    if ending.tokens_per_s is not None:
        told["tokens_per_s"] = ending.tokens_per_s
    if ending.ttft_ms is not None:
        told["ttft_ms"] = ending.ttft_ms
    return told


def _frame(chunk: dict[str, Any]) -> bytes:
    return data_frame(json_bytes(chunk))
