"""Ollama's dialect: NDJSON, one JSON object a line, `done: true` in the last.

The lines are ASCII, since Ollama's Python client splits them at U+2028, U+2029 and U+0085.
Source: Ollama API reference, "Generate a chat completion" and "Generate a completion".
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any, Literal

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import (
    Cancelled,
    Delta,
    Failed,
    Finished,
    ReaderEvent,
    Reasoning,
    ToolCall,
    Usage,
)
from gateway.contract.store import StoredMessage
from gateway.dialects.json_encoding import without_surrogates
from gateway.dialects.tool_arguments import as_object

Shape = Literal["chat", "generate"]
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Ollama:
    """Encodes replies for `/api/chat` or `/api/generate`.

    Args:
        model: name of the model in the request.
        shape: the endpoint: "chat" puts the text into `message`, "generate" into `response`.
        now: gives the current time in UTC.
    """

    name = "ollama"
    paced_by: PacedBy = "characters"
    media_type = "application/x-ndjson"
    headers: Sequence[tuple[bytes, bytes]] = ()
    bears_ids = False
    needs_end = True
    merges = True

    def __init__(
        self,
        model: str = "default",
        shape: Shape = "chat",
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._model = model
        self._shape = shape
        self._now = now

    @property
    def heartbeat(self) -> bytes:
        return self.encoder("").line({"content": ""})

    def encoder(self, stream_id: str) -> "OllamaEncoder":
        return OllamaEncoder(self._model, self._shape, self._now)

    def refusal(self, error: GatewayError) -> bytes:
        return ndjson({"error": str(error)})


class OllamaEncoder:
    """Encodes one reply: each event as one line."""

    def __init__(self, model: str, shape: Shape, now: Callable[[], datetime]) -> None:
        self._model = model
        self._shape = shape
        self._now = now
        self._before_time = f'{{"model":{_ascii(model)},"created_at":"'
        if shape == "chat":
            self._before_text = '","message":{"role":"assistant","content":'
            self._after_text = '},"done":false}\n'
        else:
            self._before_text, self._after_text = '","response":', ',"done":false}\n'

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            # Written for every token: faster without a dict.
            text = self._before_text + _ascii(event.text) + self._after_text
            return ((self._before_time + _timestamp(self._now()) + text).encode(),)
        match event:
            case Reasoning(text):
                return (self.line({"content": "", "thinking": text}),)
            case ToolCall():
                return (self.line({"content": "", "tool_calls": [tool_call_json(event)]}),)
            case Finished(reason, ending) | Cancelled(reason, ending):
                end = end_json(reason, ending.usage, ending.ttft_ms, ending.tokens_per_s)
                return (self.line({"content": ""}, end),)
            case Failed():
                return (ndjson({"error": event.message}),)
            case _:
                return ()

    def line(self, said: dict[str, Any], end: dict[str, Any] | None = None) -> bytes:
        """Return one line: a part of the message, or its end with token counts and durations."""
        return ndjson(chunk_json(self._model, self._now(), self._shape, said, end))


def chunk_json(
    model: str, created_at: datetime, shape: Shape, said: dict[str, Any], end: dict[str, Any] | None
) -> dict[str, Any]:
    """Return one line as an object.

    Args:
        model: the model's name.
        created_at: in UTC.
        shape: see Ollama.
        said: `content`, `thinking` and `tool_calls`, as far as present.
        end: the fields of a last line; None for the others.
    """
    head = {"model": model, "created_at": _timestamp(created_at)}
    if shape == "chat":
        body: dict[str, Any] = {"message": {"role": "assistant", **said}}
    else:
        body = {"response": said["content"]}
        body |= {name: value for name, value in said.items() if name != "content"}
    return {**head, **body, "done": end is not None, **(end or {})}


def end_json(
    reason: str | None, usage: Usage | None, ttft_ms: float | None, tokens_per_s: float | None
) -> dict[str, Any]:
    """Return the fields of the last line: durations in nanoseconds, and known token counts.

    prompt_eval_duration is the time to the first token; eval_duration is computed from tokens per second, and
    not 0 beside a token count: Ollama's documentation tells clients to divide by it.
    """
    told: dict[str, Any] = {"done_reason": "length" if reason == "length" else "stop"}
    prompt_ns = round((ttft_ms or 0) * NS_PER_MS)
    reply_ns = 0 if usage is None else 1
    if usage is not None and tokens_per_s:
        reply_ns = max(1, round(usage.completion_tokens / tokens_per_s * NS_PER_S))
    told |= {"total_duration": prompt_ns + reply_ns, "load_duration": 0}
    if usage is not None:
        told |= {"prompt_eval_count": usage.prompt_tokens}
    told |= {"prompt_eval_duration": prompt_ns}
    if usage is not None:
        told |= {"eval_count": usage.completion_tokens}
    return {**told, "eval_duration": reply_ns}


def tool_call_json(call: ToolCall) -> dict[str, Any]:
    """Return a tool call with its arguments as an object, because clients reject a string."""
    return {"id": call.id, "function": {"name": call.name, "arguments": as_object(call.arguments)}}


def _timestamp(time: datetime) -> str:
    """Return a time, which must be in UTC, as `2026-09-21T14:13:20.000000Z`."""
    return time.isoformat(timespec="microseconds")[:26] + "Z"


def _ascii(text: str) -> str:
    """Return the text as a JSON string in ASCII. Lone surrogates become U+FFFD."""
    written = encode_basestring_ascii(text)
    return encode_basestring_ascii(without_surrogates(text)) if "\\ud" in written else written


def ndjson(value: dict[str, Any]) -> bytes:
    """Return one line in ASCII. Lone surrogates become U+FFFD."""
    line = json.dumps(value, separators=(",", ":"))
    if "\\ud" in line:
        line = json.dumps(without_surrogates(value), separators=(",", ":"))
    return line.encode() + b"\n"


def answer_json(reply: StoredMessage, model: str, shape: Shape) -> dict[str, Any]:
    """Return the whole reply as an object."""
    said: dict[str, Any] = {"content": reply.content}
    if reply.reasoning:
        said["thinking"] = reply.reasoning
    if reply.tool_calls:
        said["tool_calls"] = [tool_call_json(call) for call in reply.tool_calls]
    return chunk_json(
        model,
        reply.created_at,
        shape,
        said,
        end_json(reply.reason, reply.usage, reply.ttft_ms, _rate_of(reply)),
    )


def _rate_of(reply: StoredMessage) -> float | None:
    """Return the model server's measurement, else one from the times of the first content and the end."""
    if reply.usage is None or reply.usage.tokens_per_s is not None:
        return None if reply.usage is None else reply.usage.tokens_per_s
    elapsed_ms = (reply.response_ms or 0) - (reply.ttft_ms or 0)
    return reply.usage.completion_tokens / elapsed_ms * 1000 if elapsed_ms > 0 else None


def loaded_json(model: str, shape: Shape, *, unloads: bool) -> dict[str, Any]:
    """Return the response to a request without messages, which only loads or unloads a model in Ollama."""
    reason = {"done_reason": "unload" if unloads else "load"}
    return chunk_json(model, datetime.now(UTC), shape, {"content": ""}, reason)
