"""Errors as RFC 9457 `application/problem+json`."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gateway.contract.errors import (
    GatewayError,
    MethodNotAllowed,
    TooLarge,
    TooSlow,
    Unauthorized,
    Unprocessable,
    UnsupportedEncoding,
)
from gateway.contract.identities import InsufficientScope, InvalidToken
from gateway.dialects.json_encoding import json_bytes
from gateway.web.http.asgi import Send

log = logging.getLogger("sluice.web")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
"""Retry-After of a 503 whose error has no retry_after_s."""


def problem(error: GatewayError, /, **more: Any) -> dict[str, Any]:
    """Return the error as a problem: `type`, `title`, `status`, `detail`, `code`, and `errors` for a 422."""
    told: dict[str, Any] = {
        "type": f"urn:sluice:problem:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        **more,
    }
    if isinstance(error, Unprocessable) and error.fields:
        told["errors"] = [{"field": field, "message": message} for field, message in error.fields.items()]
    return told


def problem_headers(error: GatewayError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if error.retry_after_s is not None or error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s or RETRY_AFTER_S)))
    if isinstance(error, InvalidToken | InsufficientScope):
        headers["www-authenticate"] = error.challenge
    elif isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(error.allowed)
    if isinstance(error, UnsupportedEncoding):
        headers["accept-encoding"] = "gzip"
    if isinstance(error, TooSlow | TooLarge):
        # Otherwise the server would wait for the rest of the request. A client that got no `100 Continue` may
        # leave it out, and its next request would be taken for it.
        headers["connection"] = "close"
    return headers


async def send_problem(send: Send, error: GatewayError, /, **more: Any) -> None:
    """Send the error as a problem. The response must not have begun."""
    await send_json(send, error.status, problem(error, **more), problem_headers(error), MEDIA_TYPE)


def raw_problem(error: GatewayError) -> bytes:
    """Return a whole HTTP/1.1 response, for requests that are refused before they have an endpoint."""
    body = json_bytes(problem(error))
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        **problem_headers(error),
        "x-content-type-options": "nosniff",
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def send_json(
    send: Send,
    status: int,
    value: Any,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> None:
    """Send `value` as JSON. The response must not have begun."""
    await send_json_bytes(send, status, json_bytes(value), headers, media_type)


async def send_json_bytes(
    send: Send,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> None:
    """Send JSON that is encoded already. The response must not have begun."""
    head = {"content-type": media_type, "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
