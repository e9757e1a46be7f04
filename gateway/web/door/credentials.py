"""Credentials of a request: an API key or an issuer's token in its headers, or a ticket in its query."""

from urllib.parse import parse_qs

from gateway.contract.errors import Forbidden, Unauthorized
from gateway.contract.identities import Identities, InsufficientScope
from gateway.contract.record import replace
from gateway.core.key_ring import Caller
from gateway.core.tickets import BadTicket
from gateway.web.door.callers import LOCAL
from gateway.web.http.asgi import Scope, header
from gateway.web.http.endpoint import Scopes
from gateway.web.services import Services


def key_of(scope: Scope) -> str | None:
    """Return the API key or token of the request."""
    kind, _, key = (header(scope, b"authorization") or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else header(scope, b"x-api-key")


def ticket_of(scope: Scope) -> str | None:
    if b"ticket=" not in scope["query_string"]:
        return None
    tickets = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("ticket")
    return None if tickets is None else tickets[0]


class Credentials:
    """Finds the caller by its credentials."""

    def __init__(self, gateway: Services) -> None:
        self._keys = gateway.keys
        self._tickets = gateway.tickets
        self._identities = gateway.identities

    async def holder(self, key: str | None, scopes: Scopes) -> Caller:
        """Return the caller with this key or token. scopes: the caller must have one of them.

        Raises Unauthorized, Forbidden, or IssuerUnavailable.
        """
        if key is None:
            raise Unauthorized(
                "An API key is needed: send the header Authorization: Bearer sk-… or X-API-Key."
            )
        if self._identities is not None and "." in key:  # API keys have no dot, and JWTs have two or four
            return await self._token_holder(self._identities, key, scopes)
        caller = self._keys.caller(key)
        if caller is None:
            raise Unauthorized("The API key is unknown or revoked.")
        if not caller.permissions & scopes:
            raise Forbidden(f"The API key lacks the scope {' or '.join(sorted(scopes))}.")
        return caller

    def ticket_holder(self, ticket: str, subject: str) -> Caller:
        """Return the caller with this ticket. Raises BadTicket."""
        user_id, expires_at, key_id = self._tickets.valid(ticket, subject)
        if key_id is not None:
            caller = Caller(user_id, frozenset({"chat"}), key_id, self._keys.allowance_of(user_id, key_id))
            if not self._keys.stands(caller):
                raise BadTicket("The ticket's API key is revoked or expired.")
            return caller
        allowance = self._keys.allowance_of(user_id)
        if self._identities is not None and self._identities.stands(user_id, expires_at):
            return Caller(user_id, frozenset({"chat"}), allowance=allowance, expires_at=expires_at)
        caller = Caller(user_id, frozenset({"chat"}), allowance=allowance)
        if not self._keys.stands(caller):
            raise BadTicket("The ticket's owner no longer has a valid API key.")
        return caller

    def stand(self, caller: Caller) -> bool:
        """True if the credentials that gave this caller are still valid. A caller without any has none once
        there are keys, also if one is of the same user."""
        if caller is LOCAL:
            return not self._keys.closed
        if caller.expires_at is None:
            return self._keys.stands(caller)
        return self._identities is not None and self._identities.stands(caller.user_id, caller.expires_at)

    def renewed(self, caller: Caller) -> Caller | None:
        """Return the caller with its limits as they are now; None if its credentials are no longer valid."""
        if not self.stand(caller):
            return None
        allowance = self._keys.allowance_of(caller.user_id, caller.key_id)
        return caller if allowance == caller.allowance else replace(caller, allowance=allowance)

    async def _token_holder(self, identities: Identities, token: str, scopes: Scopes) -> Caller:
        identity = await identities.identity_of(token)
        if not identity.permissions & scopes:
            raise InsufficientScope(scopes)
        allowance = self._keys.allowance_of(identity.user_id)
        return Caller(
            identity.user_id, identity.permissions, allowance=allowance, expires_at=identity.expires_at
        )
