"""The caller of a request. Auth puts it into the ASGI scope, and endpoints read it with caller_of."""

from gateway.core.key_ring import Caller
from gateway.web.http.asgi import Scope

CALLER = "sluice.caller"
"""Key of the Caller in the ASGI scope."""

LOCAL = Caller("local")
"""The caller of every request while there are no keys."""


def caller_of(scope: Scope) -> Caller:
    """Return the caller. Raises KeyError at public endpoints, which have none."""
    caller: Caller = scope[CALLER]
    return caller
