"""Errors as OpenAI's API tells them, so that its official clients raise what their users expect."""

from typing import Any

from gateway.contract.errors import (
    GatewayError,
    LimitExceeded,
    ModelRefused,
    NotFound,
    RequestRejected,
    Unauthorized,
    Unprocessable,
)
from gateway.dialects.openai import error_object
from gateway.web.http.asgi import Send
from gateway.web.http.problems import problem_headers, send_json

INVALID = "invalid_request_error"


class ModelNotFound(NotFound):
    code = "model_not_found"


async def send_openai_error(send: Send, error: GatewayError) -> None:
    """Answer a request that has no answer yet with this error."""
    status, told = openai_error(error)
    headers = problem_headers(error)
    if status >= 500 and not error.retryable:
        headers["x-should-retry"] = "false"  # OpenAI's clients would send it again, twice
    await send_json(send, status, told, headers)


def openai_error(error: GatewayError) -> tuple[int, dict[str, Any]]:
    """Status and body. What does not fit in a request is 400 here and names its first field as `param`."""
    status, kind, code, param = error.status, INVALID, error.code, None
    match error:
        case Unprocessable():
            status, param = 400, next(iter(error.fields), None)
            if error.fields.get("model") == "unknown":
                status, code = 404, ModelNotFound.code
        case Unauthorized():
            code = "invalid_api_key"
        case LimitExceeded():
            kind, code = "requests", "rate_limit_exceeded"
        case ModelRefused():
            status = 400
        case RequestRejected():
            pass
        case _:
            kind = "server_error"
    return status, error_object(str(error), kind, code, param)
