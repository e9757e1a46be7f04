"""OpenAI's chat completion chunks, as its official clients read them.

Source: OpenAI API reference, "Chat completion chunk object".
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError, RequestRejected
from gateway.contract.events import (
    FINISH_REASONS,
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    FinishReason,
    ReaderEvent,
    Reason,
    Reasoning,
    Started,
    ToolCall,
    Usage,
)
from gateway.contract.store import StoredMessage
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.overflow_words import api_message
from gateway.dialects.sse_frames import SseDialect, data_frame

DEFAULT_MODEL = "default"

_DONE = data_frame(b"[DONE]")
_AFTER_DELTA = b',"logprobs":null,"finish_reason":null}]'


class OpenAI(SseDialect):
    """Chat completion chunks.

    Args:
        model: name of the model in the chunks.
        include_usage: adds a last chunk with token counts.
        clock: seconds since the epoch.
    """

    name = "openai"
    paced_by: PacedBy = "characters"
    needs_end = True

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        include_usage: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._model = model
        self._include_usage = include_usage
        self._clock = clock

    def refusal(self, error: GatewayError) -> bytes:
        kind = "invalid_request_error" if isinstance(error, RequestRejected) else "server_error"
        return data_frame(json_bytes(error_object(str(error), kind, error.code)))

    def encoder(self, stream_id: str) -> "OpenAIEncoder":
        head = {
            "id": completion_id(stream_id),
            "object": "chat.completion.chunk",
            "created": int(self._clock()),
            "model": self._model,
        }
        return OpenAIEncoder(head, include_usage=self._include_usage)


class OpenAIEncoder:
    """Encodes one reply. head: the fields that all chunks share."""

    def __init__(self, head: Mapping[str, Any], *, include_usage: bool) -> None:
        self._head = b"data: " + json_bytes(head)[:-1] + b',"choices":['
        self._before_delta = self._head + b'{"index":0,"delta":'
        self._include_usage = include_usage
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._tool_calls = 0

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (self._delta(b'{"content":' + json_bytes(event.text) + b"}"),)
        match event:
            case Started():
                return (self._delta(b'{"role":"assistant","content":""}'),)
            case Reasoning(text):
                return (self._delta(json_bytes({"reasoning_content": text})),)
            case ToolCall():
                call = {"index": self._tool_calls, **tool_call_json(event)}
                self._tool_calls += 1
                return (self._delta(json_bytes({"tool_calls": [call]})),)
            case Finished(reason, ending) | Cancelled(reason, ending):
                return (self._finish(reason), *self._usage(ending), _DONE)
            case Failed():
                message = api_message(event.message, event.code)
                told = error_object(message, "server_error", event.code)
                return (data_frame(json_bytes(told)),)
            case _:
                return ()

    def _delta(self, delta: bytes) -> bytes:
        return self._before_delta + delta + _AFTER_DELTA + self._tail

    def _finish(self, reason: Reason) -> bytes:
        told = json_bytes(finish_reason_of(reason))
        return self._before_delta + b'{},"logprobs":null,"finish_reason":' + told + b"}]" + self._tail

    def _usage(self, ending: Ending) -> Sequence[bytes]:
        if not self._include_usage or ending.usage is None:
            return ()
        return (self._head + b'],"usage":' + json_bytes(usage_json(ending.usage)) + b"}\n\n",)


def completion_id(stream_id: str) -> str:
    return f"chatcmpl-{stream_id}"


def finish_reason_of(reason: str | None) -> FinishReason:
    """Return OpenAI's finish reason. It is `stop` for cancelled replies, for which OpenAI has none."""
    return reason if reason in FINISH_REASONS else "stop"  # type: ignore[return-value]


def tool_call_json(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def usage_json(usage: Usage) -> dict[str, int]:
    """Return token counts by the names of OpenAI's API."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def error_object(message: str, type_: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def completion_json(reply: StoredMessage, stream_id: str) -> dict[str, Any]:
    """Return the `chat.completion` object. `usage` is null if unknown."""
    calls = [tool_call_json(call) for call in reply.tool_calls]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls and not reply.content else reply.content,
        "refusal": None,
    }
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if calls:
        message["tool_calls"] = calls
    finish_reason = finish_reason_of(reply.reason)
    return {
        "id": completion_id(stream_id),
        "object": "chat.completion",
        "created": int(reply.created_at.timestamp()),
        "model": reply.model or DEFAULT_MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
        "usage": None if reply.usage is None else usage_json(reply.usage),
        "system_fingerprint": None,
    }
