"""The door while nobody has keys: only this machine comes in, and no web page from elsewhere through it.

Any page in a browser can send requests to 127.0.0.1; a Host that is not ours (DNS rebinding), an Origin
that is not ours, a proxy's headers and a body that needs no preflight are how it would do so.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from gateway.contract.errors import Forbidden, GatewayError, UnsupportedMedia
from gateway.web.asgi import App, Receive, Scope, Send, header
from gateway.web.problems import send_problem

OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


class OpenModeGuard:
    """allow_open: ALLOW_OPEN=1, the operator's word that something else guards the door."""

    def __init__(self, app: App, *, allow_open: bool, origins: Collection[str]) -> None:
        self._app = app
        self._allow_open = allow_open
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self.check(scope)
            except GatewayError as error:
                await send_problem(send, error)
                return
        await self._app(scope, receive, send)

    def check(self, scope: Scope) -> None:
        """Raise Forbidden or UnsupportedMedia if this request may not come in."""
        if not self._allow_open:
            self._check_local(scope)
        if scope["method"] == "POST" and not _is_json_or_empty(scope):
            raise UnsupportedMedia("A POST needs the header Content-Type: application/json.")

    def _check_local(self, scope: Scope) -> None:
        host = header(scope, b"host") or ""
        if _without_port(host) not in OWN_HOSTS:
            raise Forbidden("Without keys only localhost may be asked (the Host header names another).")
        origin = header(scope, b"origin")
        if origin is not None and not self._is_own_origin(origin):
            raise Forbidden("Without keys no page of another origin may ask; name it in CORS_ORIGINS.")
        for name, _ in scope["headers"]:
            if name == b"forwarded" or name.startswith(b"x-forwarded-"):
                raise Forbidden("Without keys no proxy may stand in front; set ALLOW_OPEN=1 if it shall.")

    def _is_own_origin(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        parts = urlsplit(origin)
        return parts.scheme in {"http", "https"} and _without_port(parts.netloc) in OWN_HOSTS


def _without_port(netloc: str) -> str:
    name, colon, port = netloc.rpartition(":")
    return (name if colon and port.isdecimal() else netloc).lower()


def _is_json_or_empty(scope: Scope) -> bool:
    media_type = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return True
    return not media_type and header(scope, b"content-length") in {None, "0"} and not _is_chunked(scope)


def _is_chunked(scope: Scope) -> bool:
    return header(scope, b"transfer-encoding") is not None
