"""CORS: allows web pages of configured origins to read responses. Source: WHATWG Fetch, 3.2."""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import ClassVar

from gateway.contract.errors import BadRequest, Forbidden, GatewayError
from gateway.contract.origins import origin_in
from gateway.web.http.asgi import App, Message, Receive, Scope, Send, header
from gateway.web.http.problems import send_problem
from gateway.web.http.refusal_log import log_refusal

log = logging.getLogger("sluice.web")

EXPOSED = (
    "Sluice-Stream-Id, Sluice-Resume-Url, Retry-After, X-Should-Retry, RateLimit, RateLimit-Policy, "
    "X-Request-Id, Request-Id"
)
PREFLIGHT_LIFE_S = 600
WARN_AGAIN_S = 60
"""Minimum time between two warnings about refused preflights: a page may send many of them."""

_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+([ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")

Headers = list[tuple[bytes, bytes]]


class CrossOrigin(Forbidden):
    """The origin of the page is not in CORS_ORIGINS."""

    code: ClassVar[str] = "cross_origin"


class Cors:
    """Answers preflights, and adds CORS headers to responses for allowed origins.

    Args:
        app: answers all other requests.
        origins: origins as origin_in gives them, or `*`, which allows all origins without credentials.
        methods_at: gives the methods that are allowed at a path.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        app: App,
        origins: Collection[str],
        methods_at: Callable[[str], Iterable[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._methods_at = methods_at
        self._clock = clock
        self._warned_at = float("-inf")

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        origin = header(scope, b"origin")
        allowed = self._headers_for(origin)
        asks_first = (
            scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method") is not None
        )
        if origin is not None and asks_first:
            return self._answer_preflight(scope, origin, allowed, send)
        if not self._origins:
            return self._app(scope, receive, send)
        exposed = [(b"access-control-expose-headers", EXPOSED.encode())] if allowed else []
        return self._app(scope, receive, _varying(send, allowed + exposed))

    def _headers_for(self, origin: str | None) -> Headers:
        """Return the headers that allow this origin; none if it is not allowed."""
        if origin is None or not self._origins:
            return []
        if "*" in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        if origin_in(origin) not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
        ]

    async def _answer_preflight(self, scope: Scope, origin: str, allowed: Headers, send: Send) -> None:
        if not allowed:
            await _refuse(scope, _varying(send, []), self._refusal(origin))
            return
        # Allow every header: client libraries add headers of their own.
        wanted = header(scope, b"access-control-request-headers") or ""
        if wanted and not _NAMES.fullmatch(wanted):
            error = BadRequest(
                "The header Access-Control-Request-Headers must hold header names, separated by commas."
            )
            await _refuse(scope, _varying(send, allowed), error)
            return
        headers = [
            *allowed,
            (b"access-control-allow-methods", ", ".join(self._methods_at(scope["path"])).encode()),
            (b"access-control-max-age", b"%d" % PREFLIGHT_LIFE_S),
            (b"content-length", b"0"),
        ]
        if wanted:
            headers.append((b"access-control-allow-headers", wanted.encode("latin-1")))
        if header(scope, b"access-control-request-private-network") == "true":
            headers.append((b"access-control-allow-private-network", b"true"))
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, _VARY_PREFLIGHT]})
        await send({"type": "http.response.body", "body": b""})

    def _refusal(self, origin: str) -> GatewayError:
        known, shown = origin_in(origin), origin[:100]
        how = (
            f"set CORS_ORIGINS={known[:100]}" if known else "only CORS_ORIGINS=* allows them, with an API key"
        )
        if known and self._origins:
            how = f"add {known[:100]} to CORS_ORIGINS"
        if self._clock() - self._warned_at >= WARN_AGAIN_S:
            self._warned_at = self._clock()
            log.warning("web pages of %s may not call this gateway: %s", shown, how)
        return CrossOrigin(f"Web pages of {shown} may not call this gateway: {how}.")


async def _refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    log_refusal(scope, error)
    await send_problem(send, error)


_VARY = (b"vary", b"Origin")
_VARY_PREFLIGHT = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")


def _varying(send: Send, more: Headers) -> Send:
    """Return `send` with these headers and `Vary: Origin` added to the response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *more, _VARY]
        await send(message)

    return send_with_headers
