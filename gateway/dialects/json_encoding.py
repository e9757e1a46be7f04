"""Encodes JSON that may contain lone surrogates, which model servers and clients send."""

from typing import Any

import msgspec

_json = msgspec.json.Encoder(enc_hook=str)


def json_bytes(value: Any) -> bytes:
    """Return one line of JSON in UTF-8, without ASCII escapes. Lone surrogates become U+FFFD."""
    try:
        return _json.encode(value)
    except UnicodeEncodeError:
        return _json.encode(without_surrogates(value))


def without_surrogates(value: Any) -> Any:
    """Return the JSON value with U+FFFD in place of each lone surrogate."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
