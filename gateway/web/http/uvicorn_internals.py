"""The undocumented parts of uvicorn that ClientConnection and SocketConnection use, each with the reason.

If one is missing, the server uses uvicorn's own class, and AnyServer writes by ASGI's `send`.
"""

import importlib
from collections.abc import Mapping

MODULE = "uvicorn.protocols.http.httptools_impl"

REASONS: Mapping[str, Mapping[str, str]] = {
    "HttpToolsProtocol": {
        "transport": "to write a token without awaiting, and to abort a connection",
        "loop": "deadlines for request heads and for clients that do not read",
        "parser": "to ignore `Upgrade`",
        "client": "to count the connections of one address",
        "scope": "to give endpoints the connection",
        "headers": "an absolute target replaces the Host header",
        "url": "an absolute target becomes a path",
        "flow": "to stop reading from a refused client, and to drop what it sends",
        "cycle": "to see if a response has begun",
        "pipeline": "to limit the requests that wait behind a response, in less memory",
        "timeout_keep_alive": "deadline for a request head",
        "timeout_keep_alive_handler": "`close` would wait without a limit for a client that does not read",
        "on_message_begin": "to begin counting the head's bytes, and its deadline",
        "on_url": "to count the head's bytes",
        "on_header": "to count the head's bytes, and to ignore trailers",
        "on_headers_complete": "to end the head's deadline",
        "on_body": "to reset the count of bytes that are not body, and to count chunks",
        "on_message_complete": "to remove the connection from the silent ones of Arrivals",
        "on_response_complete": "to begin the deadline for the last bytes of a closing connection",
        "_should_upgrade": "to ignore `Upgrade` unless it opens a WebSocket",
        "send_400_response": "to send our own errors",
        "_start_asgi_task": "to know which request is being answered",
        "data_received": "to parse some chunks at a time",
    },
    "FlowControl": {
        "_transport": "to not read while chunks are not parsed yet",
    },
    "RequestResponseCycle": {
        "scope": "to answer HTTP/1.0 without chunks",
        "send": "to answer HTTP/1.0 without chunks",
        "chunked_encoding": "to answer HTTP/1.0 without chunks",
        "expected_content_length": "to answer HTTP/1.0 without chunks",
        "message_event": "an event that takes less memory",
        "keep_alive": "to close the connection after the current response",
        "more_body": "to not close the connection while the client is sending",
        "transport": "to not close the connection while the client is sending",
        "response_started": "to not write an error into another response",
        "response_complete": "to not write an error into another response",
        "disconnected": "an endpoint may end without a whole response when its connection is aborted",
    },
}


SOCKET_MODULE = "uvicorn.protocols.websockets.websockets_sansio_impl"

SOCKET_REASONS: Mapping[str, Mapping[str, str]] = {
    "WebSocketsSansIOProtocol": {
        "transport": "to write a message without awaiting, and to abort a connection",
        "loop": "deadline for clients that do not read",
        "scope": "to give endpoints the connection",
        "conn": "to raise the limit of a message once the client is known",
        "close_sent": "to write nothing behind a close frame",
        "frames": "to limit the frames of one message",
        "data_received": "to answer a handshake that cannot be parsed, to drop what follows a wrong frame, "
        "and to parse some frames at a time",
        "handle_parser_exception": "to let a client read why a frame is wrong",
        "queue": "to tell the application that a frame was wrong",
        "close_timer": "uvicorn closes when the application has returned, unless it waits for the client",
        "read_paused": "to not read while frames are not parsed yet, and to drop what follows a wrong one",
        "handshake_initiated": "to answer a handshake that cannot be parsed",
        "handshake_complete": "to free the headers of the handshake",
        "request": "to free its headers",
        "response": "to free its headers",
        "handle_cont": "to limit the frames of one message, and of one turn of the loop",
        "handle_ping": "to limit pings",
        "handle_pong": "to limit pongs",
        "send_receive_event_to_app": "to limit the messages of one turn of the loop",
        "receive": "to not read while frames are not parsed yet",
        "connection_made": "to keep the transport",
        "connection_lost": "to report a lost client",
        "pause_writing": "to begin the deadline for clients that do not read",
        "resume_writing": "to end that deadline",
        "run_asgi": "to give endpoints the connection",
    }
}


def missing_names(module: str = MODULE) -> list[str]:
    """Return the names that the installed uvicorn lacks for ClientConnection."""
    return missing_of(module, REASONS)


def missing_socket_names() -> list[str]:
    """Return the names that the installed uvicorn lacks for SocketConnection."""
    return missing_of(SOCKET_MODULE, SOCKET_REASONS)


def missing_of(module: str, reasons: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the names that classes of an installed module lack. reasons: by class and name."""
    try:
        protocols = importlib.import_module(module)
    except ImportError:
        return [module]
    missing = []
    for class_name, names in reasons.items():
        known = _names_of(getattr(protocols, class_name, None))
        missing += [f"{module}.{class_name}.{name}" for name in names if name not in known]
    return missing


def _names_of(kind: type | None) -> set[str]:
    """The members of a class, and the attributes that its methods set or read."""
    codes = [getattr(member, "__code__", None) for member in vars(kind).values()] if kind is not None else []
    return {*dir(kind), *(name for code in codes if code is not None for name in code.co_names)}
