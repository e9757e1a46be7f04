"""Tools and the calls of earlier turns, in the form of OpenAI's chat API that all model servers read.

llama.cpp answers 500 to a call with empty arguments, and to a tool whose description is null.
"""

import json
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]


def arguments_of(said: object) -> str:
    """Return a call's arguments as JSON text: `{}` for an empty text or null."""
    if isinstance(said, str):
        return said if said.strip() else "{}"
    return "{}" if said is None else json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def whole_call(call: Mapping[str, Any]) -> Object:
    """Return the call with its type and its arguments as text; a call that is of no function unchanged."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return dict(call)
    told = {**function, "arguments": arguments_of(function.get("arguments"))}
    return {**call, "type": call.get("type") or "function", "function": told}


def without_nulls(tool: Mapping[str, Any]) -> Object:
    """Return the tool without fields that are null, also those of its function."""
    told = {name: value for name, value in tool.items() if value is not None}
    if isinstance(function := told.get("function"), Mapping):
        told["function"] = {name: value for name, value in function.items() if value is not None}
    return told
