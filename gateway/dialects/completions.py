"""The chunks of OpenAI's older completions API, which continues a text.

Source: OpenAI API reference, "The completion object".
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent
from gateway.contract.store import StoredMessage
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.openai import (
    DEFAULT_MODEL,
    OpenAI,
    error_object,
    finish_reason_of,
    usage_json,
)
from gateway.dialects.sse_frames import SseDialect, data_frame

_DONE = data_frame(b"[DONE]")


class Completions(SseDialect):
    """Text completion chunks. They have no form for reasoning and tool calls.

    Args:
        model: name of the model in the chunks.
        include_usage: adds a last chunk with token counts.
        clock: seconds since the epoch.
    """

    name = "completions"
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
        return OpenAI().refusal(error)

    def encoder(self, stream_id: str) -> "CompletionsEncoder":
        head = {
            "id": completion_id(stream_id),
            "object": "text_completion",
            "created": int(self._clock()),
            "model": self._model,
        }
        return CompletionsEncoder(head, include_usage=self._include_usage)


class CompletionsEncoder:
    """Encodes one reply. head: the fields that all chunks share."""

    def __init__(self, head: Mapping[str, Any], *, include_usage: bool) -> None:
        self._head = b"data: " + json_bytes(head)[:-1] + b',"choices":['
        self._before_text = self._head + b'{"index":0,"text":'
        self._include_usage = include_usage
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._after_delta = b',"logprobs":null,"finish_reason":null}]' + self._tail

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (self._before_text + json_bytes(event.text) + self._after_delta,)
        match event:
            case Finished(reason, ending) | Cancelled(reason, ending):
                last = self._last(finish_reason_of(reason))
                if not self._include_usage or ending.usage is None:
                    return (last, _DONE)
                usage = self._head + b'],"usage":' + json_bytes(usage_json(ending.usage)) + b"}\n\n"
                return (last, usage, _DONE)
            case Failed():
                return (data_frame(json_bytes(error_object(event.message, "server_error", event.code))),)
            case _:
                return ()

    def _last(self, finish_reason: str) -> bytes:
        ending = b',"logprobs":null,"finish_reason":' + json_bytes(finish_reason) + b"}]"
        return self._before_text + b'""' + ending + self._tail


def completion_id(stream_id: str) -> str:
    return f"cmpl-{stream_id}"


def completion_json(replies: Sequence[StoredMessage]) -> dict[str, Any]:
    """Return the `text_completion` object with one choice for each reply, at least one.

    `usage` is the sum, and null if it is unknown for one of them.
    """
    choices = [
        {
            "index": at,
            "text": reply.content,
            "logprobs": None,
            "finish_reason": finish_reason_of(reply.reason),
        }
        for at, reply in enumerate(replies)
    ]
    counts = [usage_json(reply.usage) for reply in replies if reply.usage is not None]
    is_known = len(counts) == len(replies)
    return {
        "id": completion_id(replies[0].stream_id or ""),
        "object": "text_completion",
        "created": int(replies[0].created_at.timestamp()),
        "model": replies[0].model or DEFAULT_MODEL,
        "choices": choices,
        "usage": {name: sum(count[name] for count in counts) for name in counts[0]} if is_known else None,
    }
