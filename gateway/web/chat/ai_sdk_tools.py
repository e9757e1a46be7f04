"""The tools of a page, and their results, stored with the reply that comes after them."""

import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec

from gateway.contract.errors import NotFound
from gateway.contract.store import MessageStore, StoredMessage

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""Maximum size of the results of one step as JSON. Larger ones are not stored."""

API = "ai-sdk"
"""Marks stored requests of this API."""

Results = Mapping[str, Mapping[str, Any]]
"""By the id of a tool call: the fields of its part that tell the result."""


DENIED = "Tool call execution denied."
"""The result of a call that the user has denied without a reason, in the AI SDK's words."""


def functions_of(tools: object) -> object:
    """Return assistant-ui's tools, an object with their names, as OpenAI's list; other values unchanged."""
    if not isinstance(tools, dict):
        return tools
    functions = []
    for name, tool in tools.items():
        if not isinstance(tool, dict):
            raise ValueError("must be a list of tools, or an object of them by their names")
        told = {key: tool[key] for key in ("description", "parameters") if tool.get(key) is not None}
        functions.append({"type": "function", "function": {"name": name, **told}})
    return functions


def packed_results(parts: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return the results in the latest step of an assistant's message, to be stored; None without any."""
    results: dict[str, Mapping[str, Any]] = {}
    for part in parts:
        match part:
            case {"type": "step-start"}:
                results = {}
            case {"toolCallId": str(id), "output": output}:
                results[id] = {"state": "output-available", "output": output}
            case {"toolCallId": str(id), "errorText": str(text)}:
                results[id] = {"state": "output-error", "errorText": text}
            case {"toolCallId": str(id), "approval": {"approved": False} as denial}:
                results[id] = {"state": "output-denied", "approval": denial}
    encoded = msgspec.json.encode({"api": API, "results": results}) if results else b""
    return zlib.compress(encoded, 1) if 0 < len(encoded) <= MAX_KEPT_BYTES else None


async def results_in(
    store: MessageStore, user_id: str, path: Sequence[StoredMessage]
) -> Mapping[int, Results]:
    """Return the results of the tool calls on this path, by the id of the message that has the calls."""
    replies = [message for message in path if message.role == "assistant"]
    found: dict[int, Results] = {}
    for reply, later in pairwise(replies):
        if reply.tool_calls and later.stream_id is not None:
            with suppress(NotFound):  # deleted meanwhile
                found[reply.id] = _unpacked((await store.reply(user_id, later.stream_id)).request)
    return found


def _unpacked(request: bytes | None) -> Results:
    told = msgspec.json.decode(zlib.decompress(request)) if request else {}
    results: Results = told["results"] if told.get("api") == API else {}
    return results
