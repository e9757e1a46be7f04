"""The parts of uvicorn that ClientConnection uses and uvicorn's documentation does not name.

If one is gone, the server uses uvicorn's own connections, and any_server.py writes by ASGI's `send`.
"""

import importlib
from collections.abc import Mapping

MODULE = "uvicorn.protocols.http.httptools_impl"

REASONS: Mapping[str, Mapping[str, str]] = {
    "HttpToolsProtocol": {
        "transport": "to write a token at once, and to cut off a client",
        "loop": "deadlines for heads and for clients that take nothing",
        "parser": "to stay with HTTP/1.1 when a client asks for an upgrade",
        "client": "to count the connections of one address",
        "scope": "to give endpoints the connection",
        "headers": "an absolute target replaces the Host header",
        "url": "an absolute target becomes a path",
        "flow": "to read no more from a client that was refused",
        "cycle": "to see if an answer has begun, and where the next one waits",
        "pipeline": "to bound the requests that wait behind an answer",
        "timeout_keep_alive": "how long a head may take",
        "timeout_keep_alive_handler": "a plain close would wait for ever for a client that takes nothing",
        "on_message_begin": "a request begins: its head is counted and has a deadline",
        "on_url": "to count the head's bytes",
        "on_header": "to count the head's bytes, and to leave trailers out",
        "on_headers_complete": "the head is whole: its deadline ends",
        "on_body": "something came, so the head's bytes are counted anew",
        "on_message_complete": "the connection has proved itself to Arrivals",
        "on_response_complete": "the last bytes of a closing connection get a deadline",
        "send_400_response": "to answer with our own errors",
        "_start_asgi_task": "a request's turn to be answered has come, which may be later than its head",
    },
    "RequestResponseCycle": {
        "scope": "HTTP/1.0 is answered without chunks",
        "send": "HTTP/1.0 is answered without chunks",
        "chunked_encoding": "HTTP/1.0 is answered without chunks",
        "expected_content_length": "HTTP/1.0 is answered without chunks",
        "keep_alive": "to close behind an answer whose client was refused",
        "response_started": "an error must not stand inside another answer",
        "response_complete": "an error must not stand inside another answer",
    },
}


def missing_names(module: str = MODULE) -> list[str]:
    """The names that the installed uvicorn does not have."""
    try:
        protocols = importlib.import_module(module)
    except ImportError:
        return [module]
    missing = []
    for class_name, reasons in REASONS.items():
        known = _names_of(getattr(protocols, class_name, None))
        missing += [f"{module}.{class_name}.{name}" for name in reasons if name not in known]
    return missing


def _names_of(kind: type | None) -> set[str]:
    """The members of a class, and the attributes that its methods set or read."""
    codes = [getattr(member, "__code__", None) for member in vars(kind).values()] if kind is not None else []
    return {*dir(kind), *(name for code in codes if code is not None for name in code.co_names)}
