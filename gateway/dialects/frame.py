"""The bytes of a Server-Sent Events stream. Source: WHATWG HTML, 9.2 Server-sent events."""

from typing import Any

import msgspec

_json = msgspec.json.Encoder(enc_hook=str)

PING = b": ping\n"
"""A heartbeat: one comment line and no blank line, at which some decoders dispatch an empty event."""


def json_bytes(value: Any) -> bytes:
    """One line of JSON, UTF-8 as it is; a character that UTF-8 cannot carry becomes U+FFFD."""
    try:
        return _json.encode(value)
    except UnicodeEncodeError:
        return _json.encode(_without_surrogates(value))


def data_frame(data: bytes) -> bytes:
    """One event. data: a single line, not empty."""
    return b"data: " + data + b"\n\n"


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


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
