"""Encodes JSON that may contain lone surrogates, which model servers and clients send."""

import json
from typing import Any

import msgspec

encode_json = msgspec.json.Encoder(enc_hook=str).encode
"""As json_bytes, but raises UnicodeEncodeError for lone surrogates."""


def json_bytes(value: Any) -> bytes:
    """Return one line of JSON in UTF-8, without ASCII escapes. Lone surrogates become U+FFFD."""
    try:
        return encode_json(value)
    except UnicodeEncodeError:
        return encode_json(without_surrogates(value))


def with_whole_characters(raw: bytes) -> bytes:
    """Return JSON with U+FFFD in place of each escaped lone surrogate, which strict decoders refuse.

    Clients send half of an emoji when they cut a text. Raises ValueError if it is no JSON otherwise.
    """
    if b"\\u" not in raw:
        raise ValueError("This is no JSON, and has no lone surrogates.")
    return json_bytes(json.loads(raw))


def without_surrogates(value: Any) -> Any:
    """Return the JSON value with U+FFFD in place of each lone surrogate."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
