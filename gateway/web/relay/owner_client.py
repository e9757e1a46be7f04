"""Sends a client's request to the gateway that makes its reply, and the response to the client.

The bytes of the response pass unchanged and unparsed. A client that reads slowly makes this gateway read
slowly, until one of both disconnects it as a slow reader.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import httpx

from gateway.web.http.asgi import Scope, Send, connection_of
from gateway.web.relay.owner_connection import LOST, OwnerConnections
from gateway.web.relay.seal import PREFIX, SEAL, target_of

log = logging.getLogger("sluice.relay")

T = TypeVar("T")

MISDIRECTED = 421
"""Status of a gateway that does not make the reply, or not any more."""

HEAD_S = 4.0
"""Seconds within which an owner begins its answer to GET. A POST may wait for a whole reply."""

_WITH_HEARTBEATS = ("text/event-stream", "application/x-ndjson")

Headers = Sequence[tuple[bytes, bytes]]

# Headers of one connection, of the client's access, and of its address; the relay sets the length itself.
_KEPT_BACK = frozenset(
    {
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"),
        *(b"content-length", b"content-encoding", b"accept-encoding", b"authorization", b"x-api-key"),
        *(b"proxy-connection", b"origin", b"forwarded", SEAL, PREFIX),
    }
)
# Headers that each gateway adds itself.
_ADDED_HERE = frozenset(
    {
        *(b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server", b"x-content-type-options"),
        *(b"x-request-id", b"request-id"),
    }
)


class OwnerClient:
    """An HTTP client of other gateways, with one connection for each request.

    Args:
        silence_s: seconds without a byte after which a response with heartbeats is cut.
        whole_s: the same for any other one, such as a whole reply.

    Attributes:
        open: number of responses that are being passed on.
    """

    def __init__(self, silence_s: float, whole_s: float) -> None:
        self._silence_s = silence_s
        self._connections = OwnerConnections(whole_s)
        self.open = 0

    async def pass_on(
        self, url: str, scope: Scope, seal: Headers, body: bytes, send: Send, begin: Callable[[], None]
    ) -> bool:
        """Return True if the gateway at `url` answered; the client was disconnected if its answer broke off.
        Return False, with nothing sent, if it cannot be reached or does not make the reply.

        begin: called before the response begins.
        """
        given = [(name, value) for name, value in scope["headers"] if _passes(name)]
        target = f"{url}{target_of(scope)}"
        request = self._connections.request(
            scope["method"], target, headers=[*given, *seal], content=body or None
        )
        self.open += 1
        try:
            return await self._exchange(request, scope, send, begin)
        finally:
            self.open -= 1

    async def _exchange(
        self, request: httpx.Request, scope: Scope, send: Send, begin: Callable[[], None]
    ) -> bool:
        begun = False
        try:
            async with self._connections.open() as transport:
                head_s = None if request.method == "POST" else HEAD_S
                response = await _within(head_s, transport.handle_async_request(request))
                if response.status_code == MISDIRECTED:
                    return False
                begun = True
                begin()
                headers = [pair for pair in response.headers.raw if pair[0].lower() not in _ADDED_HERE]
                start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
                await send(start)
                silence_s = self._silence_s if _has_heartbeats(response) else None
                pieces = response.aiter_raw()
                while (piece := await _within(silence_s, anext(pieces, None))) is not None:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except LOST as error:
            log.info("%s: %s", request.url, str(error) or type(error).__name__)
            if begun:
                connection_of(scope).abort()
            return begun
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True


def _passes(name: bytes) -> bool:
    return name not in _KEPT_BACK and not name.startswith(b"x-forwarded-")


def _has_heartbeats(response: httpx.Response) -> bool:
    media_type: str = response.headers.get("content-type", "")
    return media_type.startswith(_WITH_HEARTBEATS)


async def _within(seconds: float | None, answer: Awaitable[T]) -> T:
    """Raises TimeoutError, which is an OSError."""
    async with asyncio.timeout(seconds):
        return await answer
