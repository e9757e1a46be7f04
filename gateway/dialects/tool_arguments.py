"""What a model wrote as a tool's arguments, for frontends that show them as an object."""

from typing import Any

import msgspec


def readable(arguments: str) -> dict[str, Any] | str:
    """The JSON object that the text is, or the text itself where the model broke it."""
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments


def as_object(arguments: str) -> dict[str, Any]:
    """The JSON object that the text is; `{"arguments": text}` where the model broke it."""
    value = readable(arguments)
    return {"arguments": value} if isinstance(value, str) else value
