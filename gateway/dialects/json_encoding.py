"""Encodes JSON that may contain lone surrogates, which model servers and clients send."""

import json
import re
from typing import Any

import msgspec

encode_json = msgspec.json.Encoder(enc_hook=str).encode
"""As json_bytes, for ASCII only."""

_SEPARATORS = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")
"""U+0085, U+2028 and U+2029: `str.splitlines` and httpx's `iter_lines` end a line there."""


def json_bytes(value: Any) -> bytes:
    """Return JSON in UTF-8, one line for all clients. Lone surrogates become U+FFFD."""
    try:
        encoded = encode_json(value)
    except UnicodeEncodeError:
        encoded = encode_json(without_surrogates(value))
    return encoded if encoded.isascii() else _SEPARATORS.sub(_escaped, encoded)


def _escaped(separator: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(separator[0].decode())


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
