"""Responses to HTTP/1.0 clients, which do not support chunked coding. Source: RFC 9112, 6.3 and 7.1."""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def end_with_connection(cycle: RequestResponseCycle) -> None:
    """Make uvicorn send the body without chunks, so that it ends where the connection closes."""
    cycle.chunked_encoding = False
    send = cycle.send

    async def send_unframed(message: ASGISendEvent) -> None:
        if message["type"] == "http.response.body":
            # Otherwise uvicorn raises, because the body is longer than the expected Content-Length.
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = send_unframed  # type: ignore[method-assign]
