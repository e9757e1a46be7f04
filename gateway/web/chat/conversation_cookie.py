"""The cookie by which a lunar conversation goes on: it names one of the caller's own and lets nobody in."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from gateway.web.http.asgi import Scope, header

NAME = "sluice_conversation"
LIFE_S = 12 * 3600

# 128 random bits, as `secrets.token_urlsafe` writes them; whatever else is there is replaced.
_VALUE = re.compile(rf"(?:^|;)\s*{NAME}=([A-Za-z0-9_-]{{22}})\s*(?:;|$)")


@dataclass(frozen=True, slots=True)
class CookieConversation:
    """thread: see gateway.contract.store. set_cookie: the header that keeps the cookie for 12 hours more."""

    thread: str
    set_cookie: tuple[bytes, bytes]


def conversation_of(scope: Scope) -> CookieConversation:
    """The conversation that the request's cookie names, or a new one."""
    found = _VALUE.search(header(scope, b"cookie") or "")
    value = secrets.token_urlsafe(16) if found is None else found[1]
    secure = "; Secure" if is_https(scope) else ""
    cookie = f"{NAME}={value}; Max-Age={LIFE_S}; Path=/; HttpOnly; SameSite=Lax{secure}"
    # Hashed, so that the database does not hold what a browser could be made to send.
    thread = f"lunar:{hashlib.sha256(value.encode()).hexdigest()}"
    return CookieConversation(thread, (b"set-cookie", cookie.encode()))


def is_https(scope: Scope) -> bool:
    """Return whether the client reached us, or the proxy in front of us, over TLS."""
    # Who claims it falsely only makes its own cookie rarer.
    return scope["scheme"] == "https" or header(scope, b"x-forwarded-proto") == "https"
