"""Entries of the endpoint table: each describes one method at one path.

Routing, authentication, 405s, CORS, body limits and the OpenAPI document are derived from these entries.
"""

from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from gateway.contract.errors import GatewayError, StorageFailed, TooLarge, Unreachable
from gateway.contract.keys import Permission
from gateway.web.door.callers import CALLER
from gateway.web.http.asgi import App, Message, Receive, Scope, Send, header
from gateway.web.http.body_limits import check_declared_length, declared_length, drop_body, read_body
from gateway.web.http.body_places import Leave, TakePlace
from gateway.web.http.error_shapes import PROBLEM, ErrorShape
from gateway.web.http.refusal_log import log_refusal
from gateway.web.http.sse_writer import send_pause
from gateway.web.services import Services

ENDPOINT = "sluice.endpoint"
"""Key of the request's Endpoint in the ASGI scope. The scope's `path_params` has the values from the path."""

BODY = "sluice.body"
"""Key of a request's body in the ASGI scope, as long as the request may be handled again."""

HELD_BODIES = "sluice.held_bodies"
"""Key of a list in the ASGI scope with a large body's HeldBody. The Dispatcher ends it with the request."""

POLICY_VIOLATION = 1008
"""WebSocket close code (RFC 6455, 7.4.1). Before the handshake, the server answers 403 instead."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET", "*"]
Scopes = frozenset[Permission]

PUBLIC: Scopes = frozenset()
CHAT: Scopes = frozenset({"chat"})
CHAT_OR_ADMIN: Scopes = frozenset({"chat", "admin"})
METRICS: Scopes = frozenset({"metrics", "admin"})
ADMIN: Scopes = frozenset({"admin"})


def _any_body(gateway: Services) -> int:
    return gateway.max_body_bytes


def body_with_parts(gateway: Services) -> int:
    """Maximum size in bytes of a body that may hold images, sound and files."""
    return gateway.max_message_bytes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Endpoint:
    """Fields common to JsonEndpoint and AsgiEndpoint. Use one of those.

    Args:
        method: GET also answers HEAD. `*`: every method. WEBSOCKET: an ASGI websocket scope.
        path: `{name}` matches one non-empty segment, `{name:path}` the rest of the path.
        name: unique; the operationId in the OpenAPI document.
        summary: one line for the OpenAPI document.
        description: Markdown for the OpenAPI document.
        tag: the endpoint's group in the OpenAPI document.
        scopes: the key must have one of them; PUBLIC: no key is needed.
        errors: shape of every error before the response begins, also of 401, 403, 405 and 429.
        ticket: maps the id in the path to the subject that `?ticket=` must have; None: tickets are ignored.
        rate_limited: False if requests are not counted against the user's quota.
        body: pydantic model of the JSON body in the OpenAPI document; a tuple: one of several.
        body_required: False if the body may be absent.
        max_body_bytes: gives the maximum size of the body.
        any_media_type: the body is JSON whatever its Content-Type says, unless a web page sends it.
        text_body: the body is not JSON, whatever its Content-Type says.
        without_database: True for reads of the gateway's state that answer while the database is away. API
            keys are not read again for them: the keys of the latest read count.
        refuses: status codes of errors that do not follow from the other fields.
    """

    method: Method
    path: str
    name: str
    summary: str
    description: str = ""
    tag: str
    scopes: Scopes = CHAT
    errors: ErrorShape = PROBLEM
    ticket: Callable[[str], str] | None = None
    rate_limited: bool = True
    body: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    body_required: bool = True
    max_body_bytes: Callable[[Services], int] = _any_body
    any_media_type: bool = False
    text_body: bool = False
    without_database: bool = False
    refuses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JsonEndpoint(Endpoint):
    """An endpoint that FastAPI calls and describes by its handler's signature.

    Args:
        handler: a coroutine function. Its parameters may have the types in gateway.web.api.dependencies.
        status: status code of a successful response.
        answer: pydantic model of the response, if the handler returns a Response.
        response_class: class of the Response that the handler returns.
        responses: further responses, as FastAPI's `responses`.
    """

    handler: Callable[..., Awaitable[Any]]
    status: int = 200
    answer: Any = None
    response_class: type[Any] | None = None
    responses: Mapping[int | str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AsgiEndpoint(Endpoint):
    """An endpoint that bypasses FastAPI, which would wrap each `send` of a stream twice.

    Args:
        handler: makes the ASGI application, once. GatewayErrors that it raises are sent in shape `errors`.
        parameters: OpenAPI's `parameters`, without those of the path and `ticket`.
        answers: OpenAPI's `responses`, without errors.
    """

    handler: Callable[[Services], App]
    parameters: tuple[dict[str, Any], ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)


def endpoint_of(scope: Scope) -> Endpoint:
    endpoint: Endpoint = scope[ENDPOINT]
    return endpoint


def path_id(scope: Scope) -> str:
    """Return the only path parameter of the request."""
    (id,) = scope["path_params"].values()
    return str(id)


async def refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    """Send the error in the shape of the request's endpoint, and log it. The response, or the handshake of a
    WebSocket, must not have begun."""
    log_refusal(scope, error)
    if scope["type"] == "websocket" and "websocket.http.response" in (scope.get("extensions") or {}):
        await endpoint_of(scope).errors.send(scope, _as_denial(send), error)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": str(error)[:120]})
    elif isinstance(error, StorageFailed | Unreachable) and _is_of_event_source(scope):
        await send_pause(send)
    else:
        await endpoint_of(scope).errors.send(scope, send, error)


def _is_of_event_source(scope: Scope) -> bool:
    """Return True for an EventSource with a ticket. It does not reconnect after an error. Source: HTML,
    Server-sent events, 9.2.2."""
    accepted = header(scope, b"accept")
    return (
        scope["method"] == "GET" and endpoint_of(scope).ticket is not None and accepted == "text/event-stream"
    )


def _as_denial(send: Send) -> Send:
    """Return a `send` that answers a WebSocket's handshake. Source: ASGI, WebSocket Denial Response."""

    async def send_denial(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return send_denial


async def read_request(
    gateway: Services, scope: Scope, receive: Receive, max_bytes: int | None = None
) -> bytes:
    """Return the request's whole body without a byte order mark.

    max_bytes: None for the limit of its endpoint. Raises as read_body.
    """
    if BODY in scope:
        kept: bytes = scope[BODY]
        return kept
    if max_bytes is None:
        max_bytes = endpoint_of(scope).max_body_bytes(gateway)
    try:
        check_declared_length(scope, max_bytes)
        take_place = _place_for(gateway, scope, max_bytes)
        body = await read_body(receive, max_bytes, gateway.body_timeout_s, take_place)
        for held in scope.get(HELD_BODIES, ()):
            held.shrink(len(body))
        body = body.removeprefix(BOM_UTF8)
    except TooLarge:
        await drop_body(scope, receive)
        raise
    if gateway.relay is not None and header(scope, b"idempotency-key") is not None:
        scope[BODY] = body  # the reply may run in another gateway, which then gets the request
    return body


def _place_for(gateway: Services, scope: Scope, max_bytes: int) -> TakePlace | None:
    """Return what takes a place for a large body of the caller; None for a caller without limits."""
    caller = scope.get(CALLER)
    if caller is None or caller.allowance is None:
        return None
    user_id, within_s = caller.user_id, gateway.body_timeout_s
    is_encoded = header(scope, b"content-encoding") is not None
    size = max_bytes if is_encoded else declared_length(scope) or max_bytes

    async def take() -> Leave:
        leave = await gateway.arriving_bodies.take(user_id, within_s)
        try:
            scope[HELD_BODIES].append(await gateway.held_bodies.take(user_id, size, within_s))
        except BaseException:
            leave()
            raise
        return leave

    return take
