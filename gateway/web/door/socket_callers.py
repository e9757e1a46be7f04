"""The caller of a WebSocket: by a key or ticket that the client sends on it, or by those of its handshake."""

from gateway.contract.errors import Unauthorized
from gateway.contract.limits import StreamPlace
from gateway.core.key_ring import Caller
from gateway.web.door.callers import LOCAL
from gateway.web.door.credentials import Credentials, key_of, ticket_of
from gateway.web.door.ticket_subjects import SOCKET_SUBJECT
from gateway.web.http.asgi import Scope
from gateway.web.http.endpoint import CHAT
from gateway.web.services import Services


async def socket_caller(
    gateway: Services, scope: Scope, key: str | None = None, ticket: str | None = None
) -> Caller:
    """Return the caller. Raises Unauthorized, Forbidden or StorageFailed.

    Args:
        scope: of the handshake.
        key: an API key or token that the client sent on the socket.
        ticket: for sockets, that the client sent on the socket.
    """
    await gateway.keys.be_fresh()
    key = key or (None if ticket else key_of(scope))
    ticket = ticket or ticket_of(scope)
    credentials = Credentials(gateway)
    if ticket is not None and key is None:
        return credentials.ticket_holder(ticket, SOCKET_SUBJECT)
    if not gateway.keys.closed:
        return LOCAL
    if key is None:
        raise Unauthorized(
            "An API key is needed: send it as auth.token, or in the headers of the handshake or of a frame. "
            "Browsers may also use a ticket of POST /ws/ticket."
        )
    return await credentials.holder(key, CHAT)


async def socket_place(gateway: Services, caller: Caller) -> StreamPlace | None:
    """Count a request, and one more of the caller's streams, until `leave` of the result.

    Return None for a caller without limits. Raises LimitExceeded.
    """
    if caller.allowance is None:
        return None
    await gateway.rates.spend(caller.allowance.requests)
    return await gateway.listeners.take(caller.allowance.streams)
