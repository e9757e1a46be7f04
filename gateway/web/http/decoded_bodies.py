"""Decompression of gzip request bodies. Source: RFC 9110, 8.4; RFC 1952."""

import asyncio
import zlib
from collections.abc import Awaitable

from gateway.contract.errors import BadRequest, UnsupportedEncoding
from gateway.web.http.asgi import METHODS_WITH_BODY, App, Message, Receive, Scope, Send
from gateway.web.http.body_limits import too_large
from gateway.web.http.endpoint import endpoint_of, refuse
from gateway.web.services import Services

PIECE_BYTES = 64 * 1024
"""Size of the pieces in which a body is decompressed, so that read_body can stop once it is too large."""

_GZIP = zlib.MAX_WBITS | 16


class DecodedBodies:
    """ASGI middleware that decompresses request bodies.

    The endpoint's `max_body_bytes` limits the compressed body here, and the decompressed one in read_body.
    """

    def __init__(self, app: App, gateway: Services) -> None:
        self._app = app
        self._gateway = gateway

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope.get("method") in METHODS_WITH_BODY:
            codings = _codings_of(scope)
            if codings in (["gzip"], ["x-gzip"]):
                receive = GzipBody(receive, endpoint_of(scope).max_body_bytes(self._gateway)).receive
            elif codings:
                named = ", ".join(codings)[:100]
                error = UnsupportedEncoding(f"A body may be compressed with gzip, not with {named}.")
                return refuse(scope, send, error)
        return self._app(scope, receive, send)


def _codings_of(scope: Scope) -> list[str]:
    """The body's content codings in the order in which they were applied."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding"]
    codings = [coding.strip().lower() for coding in ",".join(named).split(",")] if named else []
    return [coding for coding in codings if coding not in ("", "identity")]


class GzipBody:
    """Decompresses the body of one request."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._inflater = zlib.decompressobj(_GZIP)
        self._rest = b""
        self._size = 0
        self._more = True

    async def receive(self) -> Message:
        """ASGI's `receive`: return the next piece of the decompressed body.

        Raises BadRequest if the body is not gzip or ends too early, TooLarge if more than `max_bytes`
        compressed bytes arrive.
        """
        while True:
            piece = self._inflate()
            if piece:
                await asyncio.sleep(0)  # let other tasks run between the pieces of a large body
                return {"type": "http.request", "body": piece, "more_body": True}
            if not self._more:
                if self._size and not self._inflater.eof:
                    raise BadRequest("The gzip data of the body is incomplete.")
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._rest += message.get("body", b"")
            self._more = message.get("more_body", False)
            self._size += len(message.get("body", b""))
            if self._size > self._max_bytes:
                raise too_large(self._max_bytes)

    def _inflate(self) -> bytes:
        inflater = self._inflater
        if inflater.eof:
            if self._rest or inflater.unused_data:
                raise BadRequest("The body continues after the end of its gzip data.")
            return b""
        try:
            piece = inflater.decompress(self._rest, PIECE_BYTES)
        except zlib.error:
            raise BadRequest("The body is not gzip, though its Content-Encoding says so.") from None
        self._rest = inflater.unconsumed_tail
        return piece
