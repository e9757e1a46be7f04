"""The bytes of a Server-Sent Events stream. Source: WHATWG HTML, 9.2 Server-sent events."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.dialects.json_encoding import json_bytes

PING = b": ping\n"
"""A heartbeat: a comment without a blank line, because some decoders dispatch an empty event at that."""


class SseDialect:
    """Attributes that all dialects of Server-Sent Events share; see gateway.contract.dialect.Dialect."""

    media_type = "text/event-stream; charset=utf-8"
    headers: Sequence[tuple[bytes, bytes]] = ()
    heartbeat = PING
    bears_ids = True
    needs_end = False
    merges = True


def data_frame(data: bytes) -> bytes:
    """Return one event. data: a single non-empty line."""
    return b"data: " + data + b"\n\n"


def named_frame(name: str, value: Mapping[str, Any]) -> bytes:
    """Return one event with a name and a JSON object."""
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(value) + b"\n\n"


def with_id(frame: bytes, event_id: str) -> bytes:
    """Return the frame with an `id:`, as its last line.

    fetch-event-source stores an id before the frame is complete: with the id first, a connection that breaks
    after it would lose the frame.
    """
    return frame[:-1] + b"id: " + event_id.encode() + b"\n\n"


def id_frame(event_id: str) -> bytes:
    """Return a frame with only an id: the client stores it and dispatches no event."""
    return b"id: " + event_id.encode() + b"\n\n"


def retry_line(delay_ms: int) -> bytes:
    """Return the field that sets the time before an EventSource reconnects.

    It has no blank line: an EventSource obeys at the end of the line, while `openai` and `httpx-sse` dispatch
    an empty event at a blank line without data, which is no JSON.
    """
    return b"retry: %d\n" % delay_ms
