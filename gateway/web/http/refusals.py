"""Errors before a stream, in the shape each frontend looks for; told by path, so that the door knows too."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.contract.dialect import Dialect
from gateway.contract.errors import GatewayError, Unprocessable
from gateway.dialects.registry import LAM, WORDS
from gateway.web.chat.formats import dialect_chosen
from gateway.web.chat.openai_errors import send_openai_error
from gateway.web.http.asgi import Scope, Send
from gateway.web.http.paths import STREAM_PATHS, is_template_test
from gateway.web.http.problems import problem_headers, send_problem
from gateway.web.http.sse_connection import HEADERS

Refusal = Callable[[Send, GatewayError], Awaitable[None]]


async def refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    """Answer a request that has no answer yet with this error."""
    path: str = scope["path"]
    dialect = _statusless_dialect_of(scope)
    if dialect is not None and not _accepts_json(scope):
        await _send_frame(scope, send, error, dialect)
        return
    for prefix, refusal in _REFUSALS.items():
        if path.startswith(prefix):
            await refusal(send, error)
            return
    await send_problem(send, error)


async def _frontend(send: Send, error: GatewayError) -> None:
    """A problem, and beside its `detail` an `error`: older frontends read one or the other."""
    await send_problem(send, error, error=str(error))


_REFUSALS: dict[str, Refusal] = {
    "/api/chat/": _frontend,
    "/api/v1/chat/": _frontend,
    "/api/v1/inference/": send_openai_error,
    "/v1/": send_openai_error,
}

_JSON = re.compile(r"application/(problem\+)?json\s*(;(?!\s*q=0(\.0*)?\s*(;|$)).*)?", re.IGNORECASE)


def _statusless_dialect_of(scope: Scope) -> Dialect | None:
    """The dialect of a stream whose frontends never look at the status; None elsewhere."""
    path: str = scope["path"]
    if path.startswith("/api/v1/chat/"):
        return WORDS
    resumes = scope["method"] in {"GET", "HEAD"} and path.rpartition("/")[0] in STREAM_PATHS
    return LAM if path in STREAM_PATHS or resumes or is_template_test(path) else None


def _accepts_json(scope: Scope) -> bool:
    """Return whether the header Accept names JSON; `*/*` does not."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    return any(_JSON.fullmatch(kind.strip()) for kind in ",".join(named).split(","))


async def _send_frame(scope: Scope, send: Send, error: GatewayError, dialect: Dialect) -> None:
    with suppress(Unprocessable):  # which may be why it is refused
        dialect = dialect_chosen(scope) or dialect
    body = dialect.refusal(error)
    headers = {**problem_headers(error), "content-length": str(len(body))}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": [*HEADERS, *raw]})
    await send({"type": "http.response.body", "body": body})
