"""The bytes of a Server-Sent Events stream. Source: WHATWG HTML, 9.2 Server-sent events."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_json = msgspec.json.Encoder(enc_hook=str)

PING = b": ping\n"
"""A heartbeat: one comment line and no blank line, at which some decoders dispatch an empty event."""


class SseDialect:
    """The parts that every dialect of Server-Sent Events shares.

    media_type: the answer's content type. headers: of the answer, besides every stream's own.
    heartbeat: goes out while nothing else does. bears_ids: whether a frame may carry an event id.
    """

    media_type = "text/event-stream; charset=utf-8"
    headers: Sequence[tuple[bytes, bytes]] = ()
    heartbeat = PING
    bears_ids = True


def json_bytes(value: Any) -> bytes:
    """One line of JSON, UTF-8 as it is; a character that UTF-8 cannot carry becomes U+FFFD."""
    try:
        return _json.encode(value)
    except UnicodeEncodeError:
        return _json.encode(without_surrogates(value))


def data_frame(data: bytes) -> bytes:
    """One event. data: a single line, not empty."""
    return b"data: " + data + b"\n\n"


def named_frame(name: str, value: Mapping[str, Any]) -> bytes:
    """One event with a name and a JSON object."""
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(value) + b"\n\n"


def with_id(frame: bytes, event_id: str) -> bytes:
    """The same frame, remembered by its reader as `event_id`.

    The id stands last: fetch-event-source remembers it before the frame is whole, and where the connection
    breaks in between it never asks for that frame again.
    """
    return frame[:-1] + b"id: " + event_id.encode() + b"\n\n"


def id_frame(event_id: str) -> bytes:
    """Nothing but an id: a reader remembers it and dispatches no event."""
    return b"id: " + event_id.encode() + b"\n\n"


def retry_frame(delay_ms: int) -> bytes:
    """Ask an EventSource to wait this long before it connects again."""
    return b"retry: %d\n\n" % delay_ms


def without_surrogates(value: Any) -> Any:
    """The same JSON value with U+FFFD in place of each half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
