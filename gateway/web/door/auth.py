"""Authentication: identifies the caller, checks the endpoint's scopes, and counts the request."""

from gateway.contract.errors import GatewayError, UnsupportedMedia
from gateway.contract.limits import LimitsAway, Quota, RateExceeded, SpentRequest
from gateway.core.key_ring import Caller
from gateway.web.door.callers import CALLER, LOCAL
from gateway.web.door.credentials import Credentials, key_of, ticket_of
from gateway.web.door.limit_headers import SPENT_REQUEST, LimitHeaders
from gateway.web.door.open_mode import OpenMode, host_of
from gateway.web.http.asgi import METHODS_WITH_BODY, App, Receive, Scope, Send, header
from gateway.web.http.endpoint import ADMIN, Endpoint, endpoint_of, path_id, refuse
from gateway.web.relay.seal import SEAL, RelaySeal
from gateway.web.services import Services


class Auth:
    """Puts the Caller into the ASGI scope: the user of the key or token, or the local user in open mode."""

    def __init__(self, app: App, gateway: Services, open_mode: OpenMode, limit_headers: LimitHeaders) -> None:
        self._app = app
        self._keys = gateway.keys
        self._rates = gateway.rates
        self._credentials = Credentials(gateway)
        self._open_mode = open_mode
        self._limit_headers = limit_headers
        self._seal = RelaySeal() if gateway.relay is None else gateway.relay.seal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._admit(scope, endpoint_of(scope))
        except GatewayError as error:
            await refuse(scope, self._limit_headers.added(scope, send), error)
            return
        await self._app(scope, receive, self._limit_headers.added(scope, send))

    async def _admit(self, scope: Scope, endpoint: Endpoint) -> None:
        """Put the caller into the ASGI scope. Raises a GatewayError if the request is refused."""
        if endpoint.scopes and header(scope, SEAL) is not None:
            scope[CALLER] = self._seal.opened(scope)  # the other gateway has checked and counted the request
            return
        host = host_of(scope)
        if endpoint.scopes and not endpoint.without_database:
            await self._keys.be_fresh()
        if not self._keys.closed:
            self._open_mode.check(scope, host)
        if endpoint.scopes:
            caller = scope[CALLER] = await self._caller(scope, endpoint)
            if caller.allowance is not None and endpoint.rate_limited:
                await self._spend(scope, endpoint, caller.allowance.requests)
        if endpoint.text_body or (endpoint.any_media_type and not _is_of_a_page(scope)):
            return
        if scope.get("method") in METHODS_WITH_BODY and not _is_json_or_empty(scope):
            raise UnsupportedMedia("A body needs the header Content-Type: application/json.")

    async def _spend(self, scope: Scope, endpoint: Endpoint, quota: Quota) -> None:
        """Count the request, and put the state of the quota into the ASGI scope. Raises RateExceeded, and
        LimitsAway except for requests of operators."""
        try:
            scope[SPENT_REQUEST] = await self._rates.spend(quota)
        except LimitsAway:
            if "chat" in endpoint.scopes:
                raise
        except RateExceeded as error:
            scope[SPENT_REQUEST] = SpentRequest(error.limit, 0, error.retry_after_s or 0)
            raise

    async def _caller(self, scope: Scope, endpoint: Endpoint) -> Caller:
        ticket = None if endpoint.ticket is None else ticket_of(scope)
        if endpoint.ticket is not None and ticket is not None:
            return self._credentials.ticket_holder(ticket, endpoint.ticket(path_id(scope)))
        if self._keys.closed:
            return await self._credentials.holder(key_of(scope), endpoint.scopes)
        if endpoint.scopes == ADMIN:
            self._open_mode.check_admin(scope)
        return LOCAL


def _is_of_a_page(scope: Scope) -> bool:
    """Return whether a browser sends the request for a page. Source: Fetch, and Fetch Metadata."""
    return header(scope, b"origin") is not None or header(scope, b"sec-fetch-site") is not None


def _is_json_or_empty(scope: Scope) -> bool:
    media_type = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return True
    is_chunked = header(scope, b"transfer-encoding") is not None
    return not media_type and header(scope, b"content-length") in {None, "0"} and not is_chunked
