"""Errors in the shape of Anthropic's API, so that its official clients raise their documented exceptions."""

from typing import Any

from gateway.contract.errors import GatewayError, ModelRefused, NotFound, Unprocessable
from gateway.dialects.anthropic import error_object, error_type
from gateway.dialects.overflow_words import api_message
from gateway.web.chat.openai_errors import api_headers
from gateway.web.http.asgi import Scope, Send
from gateway.web.http.problems import send_json

OVERLOADED = 529
"""Anthropic's status for an overloaded server. Clients raise OverloadedError only for this one."""


class ThreadNotFound(NotFound):
    """No turn of the conversation is kept here: Anthropic's clients then send all of it again."""

    code = "thread_not_found"


async def send_anthropic_error(_: Scope, send: Send, error: GatewayError) -> None:
    """Send the error in Anthropic's shape. The response must not have begun."""
    status, told = anthropic_error(error)
    await send_json(send, status, told, api_headers(error, status))


def anthropic_error(error: GatewayError) -> tuple[int, dict[str, Any]]:
    """Return status and body. Unprocessable becomes 400."""
    status = error.status
    kind = error_type(status)
    match error:
        case Unprocessable() | ModelRefused():
            status = 400
            if isinstance(error, Unprocessable) and error.fields.get("model") == "unknown":
                status, kind = 404, "not_found_error"
    told = error_object(api_message(str(error), error.code), kind)
    if isinstance(error, ThreadNotFound):
        told["error"]["details"] = {"error_code": error.code}
    return OVERLOADED if kind == "overloaded_error" else status, told
