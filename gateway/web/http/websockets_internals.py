"""The undocumented parts of the library websockets that SocketConnection uses, each with the reason.

If one is missing, the server uses uvicorn's own class, as for uvicorn's names. Both websockets 15 and later
versions must work: amqtt, in the extra [demo], needs 15.0.1, and without this extra pip takes the newest.
"""

from collections.abc import Mapping

from gateway.web.http.uvicorn_internals import missing_of

MODULE, STREAMS = "websockets.protocol", "websockets.streams"

REASONS: Mapping[str, Mapping[str, str]] = {
    "Protocol": {
        "reader": "to count what has arrived of a frame",
        "parser": "to free a connection without a cycle",
        "parser_exc": "to free a connection without a cycle",
        "close_sent": "to tell the application why a frame is wrong",
    }
}
STREAM_REASONS: Mapping[str, Mapping[str, str]] = {
    "StreamReader": {"buffer": "to count what has arrived of a frame"}
}
LIMITS = ("max_message_size", "max_size")
"""The limit of a message, raised once the client is known: websockets 15 has the second name."""


def missing_names() -> list[str]:
    """Return the names that the installed websockets lacks for SocketConnection."""
    no_limit = all(missing_of(MODULE, {"Protocol": {name: ""}}) for name in LIMITS)
    limit = [f"{MODULE}.Protocol.{LIMITS[0]}"] if no_limit else []
    return [*missing_of(MODULE, REASONS), *missing_of(STREAMS, STREAM_REASONS), *limit]


def limit_messages(conn: object, max_bytes: int) -> None:
    """Set the maximum size of a message of an open connection."""
    name = next(name for name in LIMITS if hasattr(conn, name))
    setattr(conn, name, max_bytes)
