"""Reads a request's body, within its limits of size and time."""

import asyncio

from gateway.contract.errors import BadRequest, TooLarge, TooSlow
from gateway.web.http.asgi import Receive, Scope, header


def check_declared_length(scope: Scope, max_bytes: int) -> None:
    """Raise TooLarge if the declared length exceeds the limit: before the body, and `100 Continue` for it."""
    declared = header(scope, b"content-length") or ""
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise too_large(max_bytes)


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The request body is larger than {max_bytes} bytes.")


async def read_body(receive: Receive, max_bytes: int, silence_s: float) -> bytes:
    """Return the whole request body.

    Raises TooLarge as soon as more than `max_bytes` have arrived, TooSlow if nothing arrives for `silence_s`
    seconds, BadRequest if the client disconnects first.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(silence_s):
                message = await receive()
        except TimeoutError:
            raise TooSlow(f"No more of the request body arrived for {silence_s:g} s.") from None
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection was closed before the whole request arrived.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
