"""The answers that are streams, by dialect."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from gateway.contract.dialect import Dialect
from gateway.dialects.registry import DIALECTS, LAM, LUNAR, OPENAI, PRINTER, TEXT, WORDS
from gateway.web.description import events
from gateway.web.description.examples import session_events_example, stream_example
from gateway.web.description.openai_objects import ChatCompletionChunk
from gateway.web.description.schemas import reference

MEDIA_TYPE = "text/event-stream"

EVENTS: dict[str, type[BaseModel]] = {
    LAM.name: events.LamEvent,
    LUNAR.name: events.LunarEvent,
    PRINTER.name: events.PrinterEvent,
    WORDS.name: events.WordsEvent,
    TEXT.name: events.TextEvent,
    OPENAI.name: ChatCompletionChunk,
}
"""What the `data` of each dialect's events holds; the last of lunar's and openai's is the word `[DONE]`."""

NOTHING_MORE = {"204": {"description": "There is nothing more; an EventSource stops coming back."}}

STREAM_HEADERS = {
    "Sluice-Stream-Id": {
        "description": "Names the stream, to stop it and to come back.",
        "schema": {"type": "string"},
    },
    "Sluice-Resume-Url": {
        "description": "Of a resumable reply: where an EventSource can read on, relative to the gateway.",
        "schema": {"type": "string"},
    },
}


def stream_of(*dialects: Dialect) -> dict[str, Any]:
    """The response that is a reply in one of these dialects, or in the one that `?format=` names."""
    others = [dialect for dialect in DIALECTS.values() if dialect not in dialects]
    data = [json_of(EVENTS[dialect.name]) for dialect in (*dialects, *others) if dialect.name in EVENTS]
    examples = [f"{dialect.name}:\n{_code(stream_example(dialect))}" for dialect in (*dialects, *others)]
    return {
        "description": "\n".join(["Server-Sent Events.", *examples]),
        "headers": STREAM_HEADERS,
        "content": event_content([*data, {"const": "[DONE]"}]),
    }


def ndjson_of() -> dict[str, Any]:
    """The response that is a reply as lines of JSON."""
    return {
        "description": "Lines of JSON; the last one has `done: true`, or an `error` alone.",
        "headers": STREAM_HEADERS,
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }


def object_or(stream: dict[str, Any] | None = None, *, required: Sequence[str]) -> dict[str, Any]:
    """The response that is this stream, or one JSON object of that API with these keys at least."""
    told = stream or {"description": "The object, as that API describes it.", "content": {}}
    schema = {"type": "object", "required": list(required)}
    return {**told, "content": {**told["content"], "application/json": {"schema": schema}}}


def session_events() -> dict[str, Any]:
    """The response that tells what happens in a session."""
    return {
        "description": f"Server-Sent Events.\n{_code(session_events_example())}",
        "content": event_content([json_of(events.SessionEvent)]),
    }


def event_content(data: list[dict[str, Any]]) -> dict[str, Any]:
    """What each event holds, as OpenAPI 3.2 describes sequences; 3.1 has no words for them."""
    properties = {
        "data": {"type": "string", "anyOf": data},
        "event": {"type": "string"},
        "id": {"type": "string", "description": "Of a resumable reply: where to come back to."},
        "retry": {"type": "integer", "description": "Milliseconds, after which to come back."},
    }
    return {MEDIA_TYPE: {"schema": {"type": "object", "properties": properties}}}


def json_of(model: type[BaseModel]) -> dict[str, Any]:
    return {"contentMediaType": "application/json", "contentSchema": reference(model)}


def _code(stream: str) -> str:
    return f"```\n{stream}```\n"
