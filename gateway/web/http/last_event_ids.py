"""The id of the last event that a client read before it came back."""

from urllib.parse import parse_qs

from gateway.web.http.asgi import Scope, header

QUERY_NAMES = ("last_event_id", "lastEventId")
"""The second one is sent by event-source-polyfill and reconnecting-eventsource, in place of the header."""


def last_event_id(scope: Scope) -> str:
    """Return the id of `Last-Event-ID`, or of the query; "" without one."""
    if said := header(scope, b"last-event-id"):
        return said
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return next((query[name][0] for name in QUERY_NAMES if name in query), "")
