"""Authentication: identifies the caller, checks the endpoint's scopes, and counts the request."""

from urllib.parse import parse_qs

from gateway.contract.errors import Forbidden, GatewayError, Unauthorized, UnsupportedMedia
from gateway.core.keys import Caller, KeyRing
from gateway.core.rate_limits import RequestRates
from gateway.core.tickets import BadTicket, Tickets
from gateway.web.door.callers import CALLER, LOCAL
from gateway.web.door.open_mode import OpenMode, host_of
from gateway.web.http.asgi import METHODS_WITH_BODY, App, Receive, Scope, Send, header
from gateway.web.http.endpoint import ADMIN, Endpoint, endpoint_of, path_id, refuse


class Auth:
    """Puts the Caller into the ASGI scope: the key's user, or the local user while there are no keys."""

    def __init__(
        self,
        app: App,
        keys: KeyRing,
        rates: RequestRates,
        tickets: Tickets,
        open_mode: OpenMode,
    ) -> None:
        self._app = app
        self._keys = keys
        self._rates = rates
        self._tickets = tickets
        self._open_mode = open_mode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._admit(scope, endpoint_of(scope))
        except GatewayError as error:
            await refuse(scope, send, error)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, endpoint: Endpoint) -> None:
        """Put the caller into the ASGI scope. Raises a GatewayError if the request is refused."""
        host = host_of(scope)
        if endpoint.scopes:
            await self._keys.be_fresh()
        if not self._keys.closed:
            self._open_mode.check(scope, host)
        if endpoint.scopes:
            caller = scope[CALLER] = self._caller(scope, endpoint)
            if caller.allowance is not None and endpoint.rate_limited:
                await self._rates.spend(caller.allowance.requests)
        if scope.get("method") in METHODS_WITH_BODY and not _is_json_or_empty(scope):
            raise UnsupportedMedia("A body needs the header Content-Type: application/json.")

    def _caller(self, scope: Scope, endpoint: Endpoint) -> Caller:
        ticket = None if endpoint.ticket is None else _ticket_of(scope)
        if endpoint.ticket is not None and ticket is not None:
            return self._ticket_holder(ticket, endpoint.ticket(path_id(scope)))
        if self._keys.closed:
            return self._key_holder(scope, endpoint)
        if endpoint.scopes == ADMIN:
            self._open_mode.check_admin(scope)
        return LOCAL

    def _ticket_holder(self, ticket: str, subject: str) -> Caller:
        user_id = self._tickets.user_of(ticket, subject)
        caller = Caller(user_id, frozenset({"chat"}), allowance=self._keys.allowance_of(user_id))
        if not self._keys.stands(caller):
            raise BadTicket("The ticket's owner no longer has a valid API key.")
        return caller

    def _key_holder(self, scope: Scope, endpoint: Endpoint) -> Caller:
        key = _key_of(scope)
        if key is None:
            raise Unauthorized(
                "An API key is needed: send the header Authorization: Bearer sk-… or X-API-Key."
            )
        caller = self._keys.caller(key)
        if caller is None:
            raise Unauthorized("The API key is unknown or revoked.")
        if not caller.permissions & endpoint.scopes:
            raise Forbidden(f"The API key lacks the scope {' or '.join(sorted(endpoint.scopes))}.")
        return caller


def _key_of(scope: Scope) -> str | None:
    kind, _, key = (header(scope, b"authorization") or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else header(scope, b"x-api-key")


def _ticket_of(scope: Scope) -> str | None:
    if b"ticket=" not in scope["query_string"]:
        return None
    tickets = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("ticket")
    return None if tickets is None else tickets[0]


def _is_json_or_empty(scope: Scope) -> bool:
    media_type = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return True
    is_chunked = header(scope, b"transfer-encoding") is not None
    return not media_type and header(scope, b"content-length") in {None, "0"} and not is_chunked
