"""Errors as Anthropic's API tells them, so that its official clients raise what their users expect."""

from typing import Any

from gateway.contract.errors import GatewayError, ModelRefused, Unprocessable
from gateway.dialects.anthropic import error_object, error_type
from gateway.web.http.asgi import Scope, Send
from gateway.web.http.problems import problem_headers, send_json

OVERLOADED = 529
"""Anthropic's status for a server that has no room; only with it do clients raise OverloadedError."""


async def send_anthropic_error(_: Scope, send: Send, error: GatewayError) -> None:
    """Answer a request that has no answer yet with this error."""
    status, told = anthropic_error(error)
    headers = problem_headers(error)
    if status >= 500 and not error.retryable:
        headers["x-should-retry"] = "false"  # Anthropic's clients would send it again, twice
    await send_json(send, status, told, headers)


def anthropic_error(error: GatewayError) -> tuple[int, dict[str, Any]]:
    """Status and body. What does not fit in a request is 400 here."""
    status = error.status
    kind = error_type(status)
    match error:
        case Unprocessable() | ModelRefused():
            status = 400
            if isinstance(error, Unprocessable) and error.fields.get("model") == "unknown":
                status, kind = 404, "not_found_error"
    return OVERLOADED if kind == "overloaded_error" else status, error_object(str(error), kind)
