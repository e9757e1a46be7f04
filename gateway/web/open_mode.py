"""Open mode, while nobody has keys: only this machine comes in, and no web page from elsewhere through it.

Any page in a browser can send requests to 127.0.0.1; a Host that is not ours (DNS rebinding), an Origin
that is not ours and a proxy's headers are how it would do so.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from gateway.contract.errors import Forbidden
from gateway.web.asgi import Scope, header

OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


def check_local(scope: Scope, origins: Collection[str]) -> None:
    """Forbidden if this does not come from this machine and a page of ours, or of one of these origins."""
    host = header(scope, b"host") or ""
    if _without_port(host) not in OWN_HOSTS:
        raise Forbidden("Without keys only localhost may be asked (the Host header names another).")
    origin = header(scope, b"origin")
    if origin is not None and origin not in origins and not _is_own(origin):
        raise Forbidden("Without keys no page of another origin may ask; name it in CORS_ORIGINS.")
    for name, _ in scope["headers"]:
        if name == b"forwarded" or name.startswith(b"x-forwarded-"):
            raise Forbidden("Without keys no proxy may stand in front; set ALLOW_OPEN=1 if it shall.")


def _is_own(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and _without_port(parts.netloc) in OWN_HOSTS


def _without_port(netloc: str) -> str:
    name, colon, port = netloc.rpartition(":")
    return (name if colon and port.isdecimal() else netloc).lower()
