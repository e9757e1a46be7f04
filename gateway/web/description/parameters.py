"""OpenAPI's parameters of the endpoints that FastAPI does not know."""

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
        "description": "Its id, uuid or key.",
    },
    "template_id": {"type": "integer", "minimum": 1},
    "model": _STRING,
}
"""The schemas of the names in paths; others are strings."""

TICKET: Parameter = {
    "name": "ticket",
    "in": "query",
    "description": "For an EventSource, which cannot send headers, instead of a key.",
    "schema": _STRING,
}
FORMAT: Parameter = {
    "name": "format",
    "in": "query",
    "description": "Another dialect for the answer.",
    "schema": {"type": "string", "enum": list(DIALECTS)},
}
IDEMPOTENCY_KEY: Parameter = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body within 24 hours never make a second reply.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
RESUMABLE: Parameter = {
    "name": "Sluice-Resumable",
    "in": "header",
    "description": "`1`: the reply goes on when its reader drops.",
    "schema": _STRING,
}
SLUICE_SESSION: Parameter = {
    "name": "Sluice-Session",
    "in": "header",
    "description": "The session to go on with: its id, key or uuid. A new one starts without it.",
    "schema": _STRING,
}
_EVENT_ID: Parameter = {
    "description": "The last event that was read; from the beginning without it.",
    "schema": {"type": "string", "pattern": r"^([0-9]{1,18}-[0-9]{1,18})?$"},
    "example": "7-42",
}
LAST_EVENT_ID: Parameter = {"name": "Last-Event-ID", "in": "header", **_EVENT_ID}
LAST_EVENT_ID_IN_QUERY: Parameter = {"name": "last_event_id", "in": "query", **_EVENT_ID}
SENT_AGAIN: Parameter = {
    **LAST_EVENT_ID,
    "description": "With the Idempotency-Key of a request that is sent again: continues behind that event.",
}
CACHE_CONTROL: Parameter = {
    "name": "Cache-Control",
    "in": "header",
    "description": "Where replies are cached (CACHE_TTL_S): `no-cache` makes a new reply and keeps it, "
    "`no-store` makes a new one and keeps none.",
    "schema": _STRING,
}
ASKING = (FORMAT, IDEMPOTENCY_KEY, SENT_AGAIN, RESUMABLE, CACHE_CONTROL)


def path_parameter(name: str) -> Parameter:
    return {"name": name, "in": "path", "required": True, "schema": PATH_IDS.get(name, _STRING)}
