"""Credentials of a request: an API key in its headers, or a ticket in its query."""

from urllib.parse import parse_qs

from gateway.contract.errors import Forbidden, Unauthorized
from gateway.core.key_ring import Caller, KeyRing
from gateway.core.tickets import BadTicket, Tickets
from gateway.web.http.asgi import Scope, header
from gateway.web.http.endpoint import Scopes


def key_of(scope: Scope) -> str | None:
    kind, _, key = (header(scope, b"authorization") or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else header(scope, b"x-api-key")


def ticket_of(scope: Scope) -> str | None:
    if b"ticket=" not in scope["query_string"]:
        return None
    tickets = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("ticket")
    return None if tickets is None else tickets[0]


def key_holder(keys: KeyRing, key: str | None, scopes: Scopes) -> Caller:
    """Return the caller with this key. Raises Unauthorized or Forbidden. scopes: the key must have one."""
    if key is None:
        raise Unauthorized("An API key is needed: send the header Authorization: Bearer sk-… or X-API-Key.")
    caller = keys.caller(key)
    if caller is None:
        raise Unauthorized("The API key is unknown or revoked.")
    if not caller.permissions & scopes:
        raise Forbidden(f"The API key lacks the scope {' or '.join(sorted(scopes))}.")
    return caller


def ticket_holder(keys: KeyRing, tickets: Tickets, ticket: str, subject: str) -> Caller:
    """Return the caller with this ticket. Raises BadTicket."""
    user_id = tickets.user_of(ticket, subject)
    caller = Caller(user_id, frozenset({"chat"}), allowance=keys.allowance_of(user_id))
    if not keys.stands(caller):
        raise BadTicket("The ticket's owner no longer has a valid API key.")
    return caller
