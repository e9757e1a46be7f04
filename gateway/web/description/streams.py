"""Responses that are streams, by dialect."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from gateway.contract.dialect import Dialect
from gateway.dialects.registry import DIALECTS, LAM, LUNAR, OPENAI, PRINTER, TEXT, WORDS
from gateway.web.api.admin.live_views import LiveEvent
from gateway.web.api.admin.simulator_views import SimulatorEvent
from gateway.web.description import events
from gateway.web.description.examples import session_events_example, stream_example
from gateway.web.description.openai_objects import ChatCompletionChunk, TextCompletion
from gateway.web.description.room_events import RoomEvent
from gateway.web.description.schemas import reference

MEDIA_TYPE = "text/event-stream"

EVENTS: dict[str, type[BaseModel]] = {
    LAM.name: events.LamEvent,
    LUNAR.name: events.LunarEvent,
    PRINTER.name: events.PrinterEvent,
    WORDS.name: events.WordsEvent,
    TEXT.name: events.TextEvent,
    OPENAI.name: ChatCompletionChunk,
    "ai-sdk": events.AiSdkChunk,
    "anthropic": events.AnthropicEvent,
    "completions": TextCompletion,
    "responses": events.ResponsesEvent,
    "ag-ui": events.AgUiEvent,
}
"""Models of each dialect's `data`. The last `data` of lunar and openai is the word `[DONE]`."""

OTHER_FORMATS: dict[str, Any] = {
    "application/x-ndjson": {"schema": {"type": "string", "description": "With `?format=ollama`."}},
    "text/plain": {"schema": {"type": "string", "description": "With `?format=plain`."}},
}
"""The formats of a stream that are no Server-Sent Events."""

NOTHING_MORE = {"204": {"description": "No further events. An EventSource stops reconnecting."}}

STREAM_HEADERS = {
    "Sluice-Stream-Id": {
        "description": "Id of the stream, to stop it or to resume it.",
        "schema": {"type": "string"},
    },
    "Sluice-Resume-Url": {
        "description": "URL to resume the stream with an EventSource, relative to the gateway. Only for "
        "resumable replies.",
        "schema": {"type": "string"},
    },
}


def stream_of(*dialects: Dialect) -> dict[str, Any]:
    """Return the response that is a stream in one of these dialects, or in the one of `?format=`."""
    others = [dialect for dialect in DIALECTS.values() if dialect not in dialects]
    data = [json_of(EVENTS[dialect.name]) for dialect in (*dialects, *others) if dialect.name in EVENTS]
    examples = [f"{dialect.name}:\n{_code(stream_example(dialect))}" for dialect in (*dialects, *others)]
    return {
        "description": "\n".join(["Server-Sent Events.", *examples]),
        "headers": STREAM_HEADERS,
        "content": {**event_content([*data, {"const": "[DONE]"}]), **OTHER_FORMATS},
    }


def ndjson_of() -> dict[str, Any]:
    """Return the response that is a stream of JSON lines."""
    return {
        "description": "JSON lines. The last one has `done: true`, or only `error`.",
        "headers": STREAM_HEADERS,
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }


def object_or(stream: dict[str, Any] | None = None, *, required: Sequence[str]) -> dict[str, Any]:
    """Return the response that is this stream, or one JSON object with at least these keys."""
    told = stream or {"description": "One object, as in the documentation of that API.", "content": {}}
    schema = {"type": "object", "required": list(required)}
    return {**told, "content": {**told["content"], "application/json": {"schema": schema}}}


def session_events() -> dict[str, Any]:
    """Return the response that is a stream of session events."""
    return {
        "description": f"Server-Sent Events.\n{_code(session_events_example())}",
        "content": event_content([json_of(events.SessionEvent)]),
    }


def room_events() -> dict[str, Any]:
    """Return the response that is a stream of a room's events."""
    return {"description": "Server-Sent Events.", "content": event_content([json_of(RoomEvent)])}


def live_events() -> dict[str, Any]:
    """Return the response that is a stream of the live state."""
    return {"description": "Server-Sent Events.", "content": event_content([json_of(LiveEvent)])}


def simulator_events() -> dict[str, Any]:
    """Return the response that is a stream of a simulated part's frames."""
    return {"description": "Server-Sent Events.", "content": event_content([json_of(SimulatorEvent)])}


def event_content(data: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of one event, in OpenAPI 3.2's way: 3.1 cannot describe sequences."""
    properties = {
        "data": {"type": "string", "anyOf": data},
        "event": {"type": "string"},
        "id": {"type": "string", "description": "Position of the event. Only for resumable streams."},
        "retry": {"type": "integer", "description": "Milliseconds to wait before reconnecting."},
    }
    return {MEDIA_TYPE: {"schema": {"type": "object", "properties": properties}}}


def json_of(model: type[BaseModel]) -> dict[str, Any]:
    return {"contentMediaType": "application/json", "contentSchema": reference(model)}


def _code(stream: str) -> str:
    return f"```\n{stream}```\n"
