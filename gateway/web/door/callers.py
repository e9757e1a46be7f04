"""Who asks: the door puts a caller into the request's scope, and every endpoint takes it from there."""

from gateway.core.keys import Caller
from gateway.web.http.asgi import Scope

CALLER = "sluice.caller"
"""The scope's entry for the Caller."""

LOCAL = Caller("local")
"""Everybody, while nobody has keys."""


def caller_of(scope: Scope) -> Caller:
    """Whom the door let in; a public path has nobody, and asking there is a bug."""
    caller: Caller = scope[CALLER]
    return caller
