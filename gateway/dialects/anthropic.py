"""Anthropic's dialect: the stream of its Messages API.

Source: Anthropic API reference, "Streaming messages"; the clients' parsers.
"""

from collections.abc import Sequence
from typing import Any

from gateway.contract.dialect import PacedBy
from gateway.contract.error_codes import REFUSALS
from gateway.contract.errors import GatewayError
from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Reason,
    Reasoning,
    Started,
    ToolCall,
    Usage,
)
from gateway.contract.store import StoredMessage
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.openai import DEFAULT_MODEL
from gateway.dialects.overflow_words import api_message
from gateway.dialects.sse_frames import SseDialect, named_frame
from gateway.dialects.tool_arguments import as_object

STOP_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
"""Error types by HTTP status. Other 4xx are `invalid_request_error`, all others `api_error`."""

SIGNATURE = "c2x1aWNl"
"""Signature that ends a thinking block. Clients return it unchanged. Base64 of `sluice`."""


class Anthropic(SseDialect):
    """Encodes replies as messages, whose ids are derived from the stream's id.

    Args:
        model: name of the model in `message_start`.
    """

    name = "anthropic"
    paced_by: PacedBy = "characters"
    bears_ids = False
    heartbeat = named_frame("ping", {"type": "ping"})

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        self._model = model

    def encoder(self, stream_id: str) -> "AnthropicEncoder":
        return AnthropicEncoder(message_id(stream_id), self._model)

    def refusal(self, error: GatewayError) -> bytes:
        return named_frame("error", error_object(str(error), error_type(error.status)))


class AnthropicEncoder:
    """Encodes one reply. Content blocks are numbered, and at most one is open."""

    def __init__(self, message_id: str, model: str) -> None:
        self._message_id = message_id
        self._model = model
        self._blocks = 0
        self._open: str | None = None
        self._before_text = b""

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            opening = self._opened("text", {"type": "text", "text": ""})
            return (*opening, self._before_text + json_bytes(event.text) + b"}}\n\n")
        match event:
            case Started():
                return (self._start(),)
            case Reasoning(text):
                opening = self._opened("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                return (*opening, self._delta({"type": "thinking_delta", "thinking": text}))
            case ToolCall():
                return self._tool_call(event)
            case Finished(reason, ending) | Cancelled(reason, ending):
                return (*self._closed(), *_end(reason, ending))
            case Failed():
                message = api_message(event.message, event.code)
                status = 400 if event.code in REFUSALS else 503 if event.retryable else 500
                told = error_object(message, error_type(status))
                return (named_frame("error", told),)
            case _:
                return ()

    def _start(self) -> bytes:
        message: dict[str, Any] = {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_json(None),
        }
        return named_frame("message_start", {"type": "message_start", "message": message})

    def _tool_call(self, call: ToolCall) -> Sequence[bytes]:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        # Clients fail if this is not JSON.
        arguments = {
            "type": "input_json_delta",
            "partial_json": json_bytes(as_object(call.arguments)).decode(),
        }
        return (*self._closed(), *self._opened("tool_use", block), self._delta(arguments), *self._closed())

    def _opened(self, kind: str, block: dict[str, Any]) -> Sequence[bytes]:
        """Return the frames that open a block of this kind, unless it is open already."""
        if self._open == kind:
            return ()
        closing = self._closed()
        self._open = kind
        index = self._blocks
        self._before_text = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"text_delta","text":' % index
        )
        start = {"type": "content_block_start", "index": index, "content_block": block}
        return (*closing, named_frame("content_block_start", start))

    def _closed(self) -> Sequence[bytes]:
        """Return the frames that close the open block, if any."""
        if self._open is None:
            return ()
        signed = (
            (self._delta({"type": "signature_delta", "signature": SIGNATURE}),)
            if self._open == "thinking"
            else ()
        )
        stop = named_frame("content_block_stop", {"type": "content_block_stop", "index": self._blocks})
        self._open = None
        self._blocks += 1
        return (*signed, stop)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        told = {"type": "content_block_delta", "index": self._blocks, "delta": delta}
        return named_frame("content_block_delta", told)


def _end(reason: Reason, ending: Ending) -> Sequence[bytes]:
    told = {
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason_of(reason), "stop_sequence": None},
        "usage": usage_json(ending.usage),
    }
    return named_frame("message_delta", told), named_frame("message_stop", {"type": "message_stop"})


def message_id(stream_id: str) -> str:
    return f"msg_{stream_id}"


def stop_reason_of(reason: str | None) -> str:
    """Return Anthropic's stop reason. It is `end_turn` for cancelled replies."""
    return STOP_REASONS.get(reason or "stop", "end_turn")


def usage_json(usage: Usage | None) -> dict[str, int]:
    """Return token counts. Unknown ones are 0, because clients fail without them."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    return {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}


def error_type(status: int) -> str:
    """Return Anthropic's error type for this HTTP status."""
    if status in ERROR_TYPES:
        return ERROR_TYPES[status]
    return "invalid_request_error" if status < 500 else "api_error"


def error_object(message: str, kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def message_json(reply: StoredMessage, stream_id: str) -> dict[str, Any]:
    """Return the whole message as an object."""
    content: list[dict[str, Any]] = []
    if reply.reasoning:
        content.append({"type": "thinking", "thinking": reply.reasoning, "signature": SIGNATURE})
    if reply.content:
        content.append({"type": "text", "text": reply.content})
    for call in reply.tool_calls:
        input = as_object(call.arguments)
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
    return {
        "id": message_id(stream_id),
        "type": "message",
        "role": "assistant",
        "model": reply.model or DEFAULT_MODEL,
        "content": content,
        "stop_reason": stop_reason_of(reply.reason),
        "stop_sequence": None,
        "usage": usage_json(reply.usage),
    }
