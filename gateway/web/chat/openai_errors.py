"""Errors in the shape of OpenAI's API, so that its official clients raise their documented exceptions."""

from typing import Any

from gateway.contract.errors import (
    GatewayError,
    LimitExceeded,
    ModelRefused,
    NotFound,
    RequestRejected,
    TokenBudgetExceeded,
    Unauthorized,
    Unprocessable,
)
from gateway.dialects.openai import error_object
from gateway.dialects.overflow_words import api_message
from gateway.web.http.asgi import Send
from gateway.web.http.problems import problem_headers, send_json

MAX_WAIT_S = 60
"""A longer Retry-After is ignored by the clients of OpenAI and Anthropic, which then retry within seconds."""

INVALID = "invalid_request_error"


class ModelNotFound(NotFound):
    code = "model_not_found"


async def send_openai_error(send: Send, error: GatewayError) -> None:
    """Send the error in OpenAI's shape. The response must not have begun."""
    status, told = openai_error(error)
    await send_json(send, status, told, api_headers(error, status))


def api_headers(error: GatewayError, status: int) -> dict[str, str]:
    """Return the headers of an error for the clients of OpenAI and Anthropic, which retry a 5xx twice."""
    headers = problem_headers(error)
    if (status >= 500 and not error.retryable) or (error.retry_after_s or 0) > MAX_WAIT_S:
        headers["x-should-retry"] = "false"
    return headers


def openai_error(error: GatewayError) -> tuple[int, dict[str, Any]]:
    """Return status and body. Unprocessable becomes 400 with its first field as `param`."""
    status, kind, code, param = error.status, INVALID, error.code, None
    match error:
        case Unprocessable():
            status, param = 400, next(iter(error.fields), None)
            if error.fields.get("model") == "unknown":
                status, code = 404, ModelNotFound.code
        case Unauthorized():
            code = "invalid_api_key"
        case TokenBudgetExceeded():
            kind, code = "tokens", "rate_limit_exceeded"
        case LimitExceeded():
            kind, code = "requests", "rate_limit_exceeded"
        case ModelRefused():
            status = 400
        case RequestRejected():
            pass
        case _:
            kind = "server_error"
    return status, error_object(api_message(str(error), code), kind, code, param)
