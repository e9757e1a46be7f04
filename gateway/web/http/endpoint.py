"""One entry of the endpoint table: all that the gateway knows of one method at one path.

Routing, the door, 405s, CORS, body limits and the OpenAPI document are made from these entries.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from gateway.contract.errors import GatewayError
from gateway.contract.keys import Permission
from gateway.web.http.asgi import App, Receive, Scope, Send, read_body
from gateway.web.http.error_shapes import PROBLEM, ErrorShape
from gateway.web.services import Services

ENDPOINT = "sluice.endpoint"
"""The scope's entry for the request's Endpoint. The ids in its path are the scope's `path_params`."""

POLICY_VIOLATION = 1008
"""Source: RFC 6455, 7.4.1. A server that has not accepted yet answers 403 instead."""

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
    """The limit of a body that may hold images, sound and files."""
    return gateway.max_message_bytes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Endpoint:
    """Use JsonEndpoint or AsgiEndpoint.

    Args:
        method: GET answers HEAD too. `*`: every method. WEBSOCKET: an ASGI websocket scope.
        path: `{name}` stands for one segment that is not empty, `{name:path}` for any rest.
        name: unique; the document's operationId.
        summary: one line.
        description: more, in Markdown.
        tag: the group in the document.
        scopes: a key needs one of them; PUBLIC: no key is needed.
        errors: the shape of each error before the answer begins, also of the door's and of a 405.
        ticket: gives the subject that `?ticket=` must be for, of the path's id; None: no ticket opens this.
        rate_limited: False for what must always be possible.
        body: the model of the JSON body as the document shows it; several: one of them.
        body_required: False if the body may be absent.
        max_body_bytes: the body's limit.
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JsonEndpoint(Endpoint):
    """FastAPI calls it, and describes its parameters and its answer by its signature.

    Args:
        handler: a coroutine function; see gateway.web.api.dependencies for what it may ask for.
        status: of its answer.
        answer: the model of its answer, where it returns a Response.
        response_class: the class of the Response that it returns.
        responses: further answers, as FastAPI's `responses`.
    """

    handler: Callable[..., Awaitable[Any]]
    status: int = 200
    answer: Any = None
    response_class: type[Any] | None = None
    responses: Mapping[int | str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AsgiEndpoint(Endpoint):
    """It stands ahead of FastAPI, which would wrap each send of a stream twice, and is described by hand.

    Args:
        handler: makes the ASGI application, once. The GatewayErrors that it raises are answered in `errors`.
        parameters: OpenAPI's, without the path's own and the ticket.
        answers: OpenAPI's `responses`, without the errors.
        refuses: the statuses of its errors, without those of the door and the body.
    """

    handler: Callable[[Services], App]
    parameters: tuple[dict[str, Any], ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    refuses: tuple[int, ...] = ()


def endpoint_of(scope: Scope) -> Endpoint:
    endpoint: Endpoint = scope[ENDPOINT]
    return endpoint


def path_id(scope: Scope) -> str:
    """The one id in the request's path."""
    (id,) = scope["path_params"].values()
    return str(id)


async def refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    """Answer a request that has no answer yet with this error, in its endpoint's shape; close a WebSocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": str(error)[:120]})
    else:
        await endpoint_of(scope).errors.send(scope, send, error)


async def read_request(gateway: Services, scope: Scope, receive: Receive) -> bytes:
    """The request's whole body, within the limits of its endpoint. Raises as read_body."""
    return await read_body(receive, endpoint_of(scope).max_body_bytes(gateway), gateway.body_timeout_s)
