"""The unified dialect: `data:` frames of typed JSON objects, `metadata` first, `done` or `error` last."""

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
    Reasoning,
    Started,
    ToolCall,
)
from gateway.dialects.json_encoding import encode_json, json_bytes
from gateway.dialects.openai import usage_json
from gateway.dialects.sse_frames import SseDialect, data_frame


class Lam(SseDialect):
    name = "lam"
    paced_by: PacedBy = "characters"

    def encoder(self, stream_id: str) -> "Lam":
        return self

    def refusal(self, error: GatewayError) -> bytes:
        told = {
            "type": "error",
            "message": str(error),
            "code": error.code,
            "status": error.status,
            "retryable": error.retryable,
        }
        return data_frame(json_bytes(told))

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            # Written for every token: faster without a dict, and without a call that most texts do not need.
            text = encode_json(event.text) if event.text.isascii() else json_bytes(event.text)
            return (b'data: {"type":"chunk","content":' + text + b"}\n\n",)
        return (data_frame(json_bytes(as_json(event))),)


def as_json(event: ReaderEvent) -> dict[str, Any]:
    """Return the event as a JSON object. Unknown fields are absent, not null."""
    match event:
        case Started():
            return {"type": "metadata", **_started(event)}
        case Finished() | Cancelled():
            return {"type": "done", "reason": event.reason, **_ending(event.ending)}
        case Delta(text):
            return {"type": "chunk", "content": text}
        case Reasoning(text):
            return {"type": "reasoning", "content": text}
        case ToolCall(id_, name, arguments):
            return {"type": "tool_call", "id": id_, "name": name, "args": arguments}
        case Progress():
            return {"type": "progress", **_progress(event)}
        case Failed():
            return {
                "type": "error",
                "message": event.message,
                "code": event.code,
                "reason": event.reason,
                "retryable": event.retryable,
                **_ending(event.ending),
            }


def _started(event: Started) -> dict[str, Any]:
    told = {
        "session_id": event.session_id,
        "user_message_id": event.user_message_id,
        "assistant_message_id": event.assistant_message_id,
        "session_key": event.session_key,
        "stream_id": event.stream_id,
        "mode": event.mode,
        "delivery": event.delivery,
    }
    return told if event.resume_url is None else {**told, "resume_url": event.resume_url}


def _progress(event: Progress) -> dict[str, Any]:
    told = {
        "phase": event.phase,
        "position": event.position,
        "processed": event.processed,
        "total": event.total,
    }
    return _known(told)


def _ending(ending: Ending) -> dict[str, Any]:
    told = {
        "assistant_message_id": ending.assistant_message_id,
        "full_content": ending.full_content,
        "mode": ending.mode,
        "delivery": ending.delivery,
        "model": ending.model,
        "usage": None if ending.usage is None else usage_json(ending.usage),
        "ttft_ms": ending.ttft_ms,
        "tokens_per_s": ending.tokens_per_s,
        "continued": ending.continued or None,
    }
    return _known(told)


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}
