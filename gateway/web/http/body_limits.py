"""Reads a request's body, within its limits of size and time."""

import asyncio
from contextlib import suppress

from gateway.contract.errors import BadRequest, TooLarge, TooSlow
from gateway.contract.light_timeout import LightTimeout
from gateway.web.http.asgi import Receive, Scope, header
from gateway.web.http.body_places import Leave, TakePlace
from gateway.web.http.lingering_close import MAX_DROPPED_BYTES

PLACELESS_BYTES = 64 * 1024
"""Size of the beginning of a body that is read without a place: about the memory of its connection."""

DROP_PAUSE_S = 1.0
DROP_S = 20.0


def check_declared_length(scope: Scope, max_bytes: int) -> None:
    """Raise TooLarge if the declared length exceeds the limit: before the body, and `100 Continue` for it."""
    if declared_length(scope) > max_bytes:
        raise too_large(max_bytes)


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The request body is larger than {max_bytes} bytes.")


async def read_body(
    receive: Receive, max_bytes: int, silence_s: float, take_place: TakePlace | None = None
) -> bytes:
    """Return the whole request body.

    Raises TooLarge as soon as more than `max_bytes` have arrived, TooSlow if nothing arrives for `silence_s`
    seconds, BadRequest if the client disconnects first, and as `take_place`.

    take_place: called when more than PLACELESS_BYTES have arrived; its result, at the end of the body.
    """
    chunks: list[bytes] = []
    size = 0
    leave: Leave | None = None
    try:
        while True:
            try:
                with LightTimeout(silence_s):
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
            if size > PLACELESS_BYTES and leave is None and take_place is not None:
                leave = await take_place()
    finally:
        if leave is not None:
            leave()


async def drop_body(scope: Scope, receive: Receive) -> None:
    """Read and drop the rest of a body that is too large, before its refusal is sent.

    A proxy that is still sending when the response comes may lose the response: Go's HTTP/2 server, and so
    Caddy, then resets the client's stream. Returns at once if the client waits for `100 Continue` or declares
    more than MAX_DROPPED_BYTES; also when that many have arrived, after a pause of DROP_PAUSE_S, and after
    DROP_S.
    """
    if header(scope, b"expect") is not None or declared_length(scope) > MAX_DROPPED_BYTES:
        return
    left = MAX_DROPPED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DROP_S):
            while left > 0:
                async with asyncio.timeout(DROP_PAUSE_S):
                    message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


def declared_length(scope: Scope) -> int:
    """Return the Content-Length; 0 without one."""
    declared = header(scope, b"content-length") or ""
    return int(declared[:20]) if declared.isdecimal() else 0
