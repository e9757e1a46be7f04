"""The shapes of error responses. Each endpoint names one of them."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.contract.dialect import Dialect
from gateway.contract.errors import GatewayError, Unprocessable
from gateway.dialects import registry
from gateway.web.chat.anthropic_errors import send_anthropic_error
from gateway.web.chat.formats import dialect_chosen
from gateway.web.chat.openai_errors import send_openai_error
from gateway.web.http.asgi import Scope, Send
from gateway.web.http.problems import problem_headers, send_json, send_problem
from gateway.web.http.sse_writer import stream_headers


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """Sends errors in one shape.

    Args:
        name: prefix of its responses in the OpenAPI document, as in `Problem404`.
        send: sends the error. The response must not have begun.
    """

    name: str
    send: Callable[[Scope, Send, GatewayError], Awaitable[None]]


OF_AI_SDK = "sluice.ai_sdk"
"""The scope's entry that is True once the body has shown to be the AI SDK's."""

_JSON = re.compile(r"application/(problem\+)?json\s*(;(?!\s*q=0(\.0*)?\s*(;|$)).*)?", re.IGNORECASE)


async def _send_problem(_: Scope, send: Send, error: GatewayError) -> None:
    await send_problem(send, error)


async def _send_frontend_problem(_: Scope, send: Send, error: GatewayError) -> None:
    await send_problem(send, error, error=str(error))


async def _send_openai_error(_: Scope, send: Send, error: GatewayError) -> None:
    await send_openai_error(send, error)


async def _send_ollama_error(_: Scope, send: Send, error: GatewayError) -> None:
    status = 400 if isinstance(error, Unprocessable) else error.status
    if isinstance(error, Unprocessable) and error.fields.get("model") == "unknown":
        status = 404
    await send_json(send, status, {"error": str(error)}, problem_headers(error))


async def _send_text(_: Scope, send: Send, error: GatewayError) -> None:
    body = str(error).encode("utf-8", "replace")
    headers = {**problem_headers(error), "content-type": "text/plain; charset=utf-8"}
    headers |= {"x-content-type-options": "nosniff", "content-length": str(len(body))}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _send_api_chat_error(scope: Scope, send: Send, error: GatewayError) -> None:
    send_error = _send_text if scope.get(OF_AI_SDK) else _send_ollama_error
    await send_error(scope, send, error)


def _frame_of(own: Dialect, as_json: ErrorShape) -> ErrorShape:
    """Return the shape for frontends that ignore the status: a frame in the dialect of `?format=`.

    Args:
        own: the dialect without `?format=`.
        as_json: the shape for clients whose Accept names JSON.
    """

    async def send_frame(scope: Scope, send: Send, error: GatewayError) -> None:
        if _accepts_json(scope):
            await as_json.send(scope, send, error)
            return
        dialect = own
        with suppress(Unprocessable):  # an unknown format may be the error itself
            dialect = dialect_chosen(scope) or own
        body = dialect.refusal(error)
        headers = {**problem_headers(error), "content-length": str(len(body))}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send(
            {
                "type": "http.response.start",
                "status": error.status,
                "headers": [*stream_headers(dialect.media_type), *raw],
            }
        )
        await send({"type": "http.response.body", "body": body})

    return ErrorShape("Stream", send_frame)


def _accepts_json(scope: Scope) -> bool:
    """Return whether the header Accept names JSON; `*/*` does not."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    return any(_JSON.fullmatch(kind.strip()) for kind in ",".join(named).split(","))


PROBLEM = ErrorShape("Problem", _send_problem)
"""RFC 9457 `application/problem+json`."""

FRONTEND = ErrorShape("Problem", _send_frontend_problem)
"""A problem with `error`, a copy of `detail`, which older frontends read."""

OPENAI = ErrorShape("OpenAI", _send_openai_error)
ANTHROPIC = ErrorShape("Anthropic", send_anthropic_error)
OLLAMA = ErrorShape("Ollama", _send_ollama_error)
API_CHAT = ErrorShape("ApiChat", _send_api_chat_error)
"""Ollama's, and plain text for a body of the AI SDK's."""

PLAIN_TEXT = ErrorShape("PlainText", _send_text)
"""Only the message, as text: the AI SDK shows the whole body to its user."""

LAM_FRAME = _frame_of(registry.LAM, PROBLEM)
WORDS_FRAME = _frame_of(registry.WORDS, FRONTEND)
