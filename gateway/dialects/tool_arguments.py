"""Parses the arguments of tool calls, for dialects that send them as an object."""

from typing import Any

import msgspec


def readable(arguments: str) -> dict[str, Any] | str:
    """Return the JSON object in the text, or the text itself if it is invalid."""
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments


def as_object(arguments: str) -> dict[str, Any]:
    """Return the JSON object in the text, or `{"arguments": text}` if it is invalid."""
    value = readable(arguments)
    return {"arguments": value} if isinstance(value, str) else value
