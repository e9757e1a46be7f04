"""OpenAPI parameters of the endpoints that bypass FastAPI."""

from typing import Any

from gateway.dialects.registry import DIALECTS

Parameter = dict[str, Any]

_STRING = {"type": "string"}

PATH_IDS: dict[str, dict[str, Any]] = {
    "stream_id": _STRING,
    "session_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 300,
        "description": "Id, uuid or key of the session.",
    },
    "message_id": {"type": "integer", "minimum": 1},
    "template_id": {"type": "integer", "minimum": 1},
    "model": _STRING,
    "chat_id": {"type": "string", "description": "The id that the page gave the chat."},
}
"""Schemas of path parameters by name. Other path parameters are strings."""

TICKET: Parameter = {
    "name": "ticket",
    "in": "query",
    "description": "Replaces the API key, for EventSource, which cannot send headers.",
    "schema": _STRING,
}
FORMAT: Parameter = {
    "name": "format",
    "in": "query",
    "description": "Dialect of the response.",
    "schema": {"type": "string", "enum": list(DIALECTS)},
}
IDEMPOTENCY_KEY: Parameter = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "For 24 hours, a request with the same key and body gets the same reply.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
RESUMABLE: Parameter = {
    "name": "Sluice-Resumable",
    "in": "header",
    "description": "`1`: the reply continues when its reader disconnects.",
    "schema": _STRING,
}
SLUICE_SESSION: Parameter = {
    "name": "Sluice-Session",
    "in": "header",
    "description": "Id, uuid or key of the session to continue. Without it a new session starts.",
    "schema": _STRING,
}
_EVENT_ID: Parameter = {
    "description": "Id of the last event that was read. Without it the stream starts at the beginning.",
    "schema": {"type": "string", "pattern": r"^([0-9]{1,18}-[0-9]{1,18})?$"},
    "example": "7-42",
}
LAST_EVENT_ID: Parameter = {"name": "Last-Event-ID", "in": "header", **_EVENT_ID}
LAST_EVENT_ID_IN_QUERY: Parameter = {"name": "last_event_id", "in": "query", **_EVENT_ID}
_MESSAGE_ID: Parameter = {
    "description": "Id of the last event that was read: a message's. Without it only new events are sent.",
    "schema": {"type": "string", "pattern": "^([0-9]{1,18})?$"},
    "example": "42",
}
LAST_MESSAGE_ID: Parameter = {"name": "Last-Event-ID", "in": "header", **_MESSAGE_ID}
LAST_MESSAGE_ID_IN_QUERY: Parameter = {"name": "last_event_id", "in": "query", **_MESSAGE_ID}
SENT_AGAIN: Parameter = {
    **LAST_EVENT_ID,
    "description": "Only with the Idempotency-Key of an earlier request: the event to continue after.",
}
CACHE_CONTROL: Parameter = {
    "name": "Cache-Control",
    "in": "header",
    "description": "With a response cache (CACHE_TTL_S): `no-cache` makes a new reply and caches it, "
    "`no-store` makes a new reply and does not cache it.",
    "schema": _STRING,
}
ASKING = (FORMAT, IDEMPOTENCY_KEY, SENT_AGAIN, RESUMABLE, CACHE_CONTROL)


def path_parameter(name: str) -> Parameter:
    return {"name": name, "in": "path", "required": True, "schema": PATH_IDS.get(name, _STRING)}
