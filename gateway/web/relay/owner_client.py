"""Sends a client's request to the gateway that makes its reply, and the response to the client.

The bytes of the response pass unchanged and unparsed. A client that reads slowly makes this gateway read
slowly, until one of both disconnects it as a slow reader.
"""

import logging
from collections.abc import Callable, Sequence

import httpx

from gateway.web.http.asgi import Scope, Send, connection_of
from gateway.web.relay.owner_connection import LOST, OwnerConnections
from gateway.web.relay.seal import PREFIX, SEAL, target_of

log = logging.getLogger("sluice.relay")

MISDIRECTED = 421
"""Status of a gateway that does not make the reply, or not any more."""

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
        silence_s: seconds without a byte after which a response is cut.

    Attributes:
        open: number of responses that are being passed on.
    """

    def __init__(self, silence_s: float) -> None:
        self._connections = OwnerConnections(silence_s)
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
                response = await transport.handle_async_request(request)
                if response.status_code == MISDIRECTED:
                    return False
                begun = True
                begin()
                headers = [pair for pair in response.headers.raw if pair[0].lower() not in _ADDED_HERE]
                start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
                await send(start)
                async for piece in response.aiter_raw():
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
