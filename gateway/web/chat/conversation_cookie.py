"""The cookie that continues a lunar conversation. It names a thread of the caller and gives no access."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from gateway.web.http.asgi import Scope, header

NAME = "sluice_conversation"
LIFE_S = 12 * 3600

# 128 random bits as `secrets.token_urlsafe` encodes them. Other values are replaced.
_VALUE = re.compile(rf"(?:^|;)\s*{NAME}=([A-Za-z0-9_-]{{22}})\s*(?:;|$)")


@dataclass(frozen=True, slots=True)
class CookieConversation:
    """thread: see NewExchange. set_cookie: response header that extends the cookie by 12 hours."""

    thread: str
    set_cookie: tuple[bytes, bytes]


def conversation_of(scope: Scope) -> CookieConversation:
    """Return the conversation of the request's cookie, or a new one."""
    found = _VALUE.search(header(scope, b"cookie") or "")
    value = secrets.token_urlsafe(16) if found is None else found[1]
    secure = "; Secure" if is_https(scope) else ""
    cookie = f"{NAME}={value}; Max-Age={LIFE_S}; Path=/; HttpOnly; SameSite=Lax{secure}"
    # Hashed, so that the database does not hold valid cookies.
    thread = f"lunar:{hashlib.sha256(value.encode()).hexdigest()}"
    return CookieConversation(thread, (b"set-cookie", cookie.encode()))


def is_https(scope: Scope) -> bool:
    """Return whether the client uses TLS, to the gateway or to a proxy in front of it."""
    # Not checked: a client that sends a false header only affects its own cookie.
    return scope["scheme"] == "https" or header(scope, b"x-forwarded-proto") == "https"
