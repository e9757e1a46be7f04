"""The signature by which a gateway recognizes a request that another gateway relays to it.

The key is a secret in the database, which only its gateways have. A signature is valid for one method, path
and query, and for some minutes of the database's time: the machines' clocks may differ.
"""

import time
from collections.abc import Callable
from urllib.parse import quote

from gateway.contract.errors import Forbidden
from gateway.core.key_ring import Caller
from gateway.core.tickets import BadTicket, Tickets
from gateway.web.http.asgi import Scope, header

SEAL, PREFIX = b"sluice-relay", b"sluice-relay-prefix"
"""Request headers: the signature with the user, and the path prefix of the client's links."""

RELAYED = "sluice.relayed"
"""Key in the ASGI scope: True if another gateway relayed the request."""

VALID_S = 300.0


def target_of(scope: Scope) -> str:
    """Return path and query of a request, without the path prefix."""
    query: str = scope["query_string"].decode("latin-1")
    path = quote(scope["path"], safe="/:@!$&'()*+,;=~")
    return f"{path}?{query}" if query else path


class RelaySeal:
    """Signs relayed requests, and verifies them. `secret` must be set before the first request.

    now: returns seconds since the epoch, alike at all gateways.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._tickets = Tickets(b"", VALID_S, now)

    def set_secret(self, secret: bytes) -> None:
        self._tickets.secret = secret

    def headers(self, scope: Scope, caller: Caller) -> list[tuple[bytes, bytes]]:
        """Return the headers for this caller's request."""
        prefix = scope.get("root_path", "")
        seal = self._tickets.issue(_subject(scope, prefix), caller.user_id, caller.key_id)
        return [(SEAL, seal.encode()), (PREFIX, prefix.encode())]

    def opened(self, scope: Scope) -> Caller:
        """Return the caller of a relayed request, and note in its scope that it is one. Raises Forbidden."""
        prefix = header(scope, PREFIX) or ""
        try:
            if not self._tickets.secret:
                raise BadTicket("")
            ticket = self._tickets.valid(header(scope, SEAL) or "", _subject(scope, prefix))
        except BadTicket:
            raise Forbidden(
                "The header Sluice-Relay is only for gateways on the same database, and this one has no "
                "valid signature."
            ) from None
        scope["root_path"] = prefix
        scope[RELAYED] = True
        return Caller(ticket.user_id, key_id=ticket.key_id)


def _subject(scope: Scope, prefix: str) -> str:
    return f"{scope.get('method')} {target_of(scope)} {prefix}"
