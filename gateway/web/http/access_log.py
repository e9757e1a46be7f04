"""The access log: one line for each request, when its response has ended."""

import logging
import time
from collections.abc import Callable

from gateway.web.door.callers import CALLER
from gateway.web.http.asgi import App, Message, Receive, Scope, Send, header

log = logging.getLogger("sluice.access")

MAX_PATH_CHARS, MAX_USER_CHARS, MAX_ID_CHARS = 500, 80, 100

# The server sends 500 if the application fails, and 403 if it closes a WebSocket before the handshake.
_STATUS_OF = {"websocket.accept": 101, "websocket.close": 403}


class AccessLog:
    """Logs each request at its end, a stream or a WebSocket when it is over. Queries, headers and bodies are
    not logged, except the header X-Request-Id.

    clock: seconds, monotonic.
    """

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, started = scope["path"], self._clock()  # PathPrefix removes the prefix from the path
        head = _Head(send)
        try:
            await self._app(scope, receive, head.send)
        finally:
            _write(scope, path, head, round((self._clock() - started) * 1000, 1))


class _Head:
    """Passes messages on, and keeps the status, the length and the stream's id of the response. The chunks of
    a stream do not pass through here."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.length: str | None = None
        self.stream: str | None = None

    async def send(self, message: Message) -> None:
        if self.status is None:
            self.status = message.get("status", _STATUS_OF.get(message["type"]))
            self.length = header(message, b"content-length") if "headers" in message else None
            self.stream = header(message, b"sluice-stream-id") if "headers" in message else None
        await self._send(message)


def _write(scope: Scope, path: str, head: _Head, ms: float) -> None:
    caller = scope.get(CALLER)
    fields = {
        "method": scope.get("method", "WEBSOCKET")[:20],
        "path": path[:MAX_PATH_CHARS],
        "status": head.status or 500,
        "bytes": None if head.length is None else int(head.length),
        "ms": ms,
        "user": None if caller is None else caller.user_id[:MAX_USER_CHARS],
        "request": (header(scope, b"x-request-id") or "")[:MAX_ID_CHARS] or None,
        "stream": head.stream,
    }
    told = {name: "-" if value is None else value for name, value in fields.items()}
    log.info(
        "%(method)s %(path)s %(status)s, %(bytes)s bytes in %(ms)s ms, user %(user)s request %(request)s "
        "stream %(stream)s",
        told,
        extra={"fields": fields},
    )
