"""Logs refused requests: each class of them, a status with an error code, at most once a minute."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.contract.errors import (
    GatewayError,
    ModelRefused,
    ProtocolViolation,
    Unprocessable,
    UpstreamFailed,
)
from gateway.web.door.callers import CALLER
from gateway.web.http.asgi import Scope

log = logging.getLogger("sluice.refusals")

REFUSALS = "sluice.refusals"
"""Key of the RefusalLog in the ASGI scope. Router sets it."""

PERIOD_S = 60.0
MAX_PATH_CHARS, MAX_USER_CHARS, MAX_REASON_CHARS = 200, 80, 200

# Their messages may quote the body, or what a model server says about it.
_QUOTING = (Unprocessable, ModelRefused, UpstreamFailed, ProtocolViolation)

Later = Callable[[float, Callable[[], None]], object]


def _on_this_loop(delay_s: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, call)


@dataclass(slots=True)
class _Class:
    """Refusals that are not logged yet, and the line's values for the last of them."""

    count: int
    last: dict[str, str | None]


class RefusalLog:
    """Logs the first refusal of a class at once. A minute later one line has the number of those since, and
    so on while there are any.

    later: calls a function after so many seconds.
    """

    def __init__(self, later: Later = _on_this_loop) -> None:
        self._later = later
        self._classes: dict[tuple[int, str], _Class] = {}

    def add(self, scope: Scope, error: GatewayError) -> None:
        """Count the refusal of the request with this error. The request's query, headers and body are not
        logged."""
        key = (error.status, error.code)
        waiting = self._classes.get(key)
        if waiting is not None:
            waiting.count, waiting.last = waiting.count + 1, _example(scope, error)
            return
        self._classes[key] = _Class(1, _example(scope, error))
        self._tell(key)

    def add_unread(self, error: GatewayError) -> None:
        """Count a refusal of a request whose method and path are not known."""
        self.add({"method": "-", "path": "-"}, error)

    def tell_rest(self) -> None:
        """Log the refusals that wait for their minute. Call at the end of the process."""
        for key, waiting in self._classes.items():
            _write(key, waiting)

    def _tell(self, key: tuple[int, str]) -> None:
        waiting = self._classes[key]
        if not waiting.count:
            del self._classes[key]
            return
        _write(key, waiting)
        self._later(PERIOD_S, lambda: self._tell(key))


def log_refusal(scope: Scope, error: GatewayError) -> None:
    """Count the refusal in the RefusalLog of the scope, if it has one."""
    refusals: RefusalLog | None = scope.get(REFUSALS)
    if refusals is not None:
        refusals.add(scope, error)


def _example(scope: Scope, error: GatewayError) -> dict[str, str | None]:
    caller = scope.get(CALLER)
    return {
        "method": scope.get("method", "WEBSOCKET")[:20],
        "path": scope["path"][:MAX_PATH_CHARS],
        "user": None if caller is None else caller.user_id[:MAX_USER_CHARS],
        "reason": _reason_of(error)[:MAX_REASON_CHARS],
    }


def _reason_of(error: GatewayError) -> str:
    if not isinstance(error, _QUOTING):
        return str(error)
    fields = error.fields if isinstance(error, Unprocessable) else ()
    return f"invalid fields: {', '.join(fields)}" if fields else "see the response"


def _write(key: tuple[int, str], waiting: _Class) -> None:
    if not waiting.count:
        return
    count, waiting.count = waiting.count, 0
    status, code = key
    last = waiting.last
    log.info(
        "refused %d request%s with %d %s%s: %s %s, user %s: %s",
        count,
        "" if count == 1 else "s",
        status,
        code,
        "" if count == 1 else "; the last",
        last["method"],
        last["path"],
        last["user"] or "none",
        last["reason"],
        extra={"fields": {"status": status, "code": code, "count": count, **last}},
    )
