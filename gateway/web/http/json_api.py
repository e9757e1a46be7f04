"""FastAPI for the JSON endpoints of the table, extended by HEAD and by the endpoints' error shapes."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.routing import BaseRoute

from gateway.contract.errors import GatewayError
from gateway.web.description.schemas import body_of
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import App, Message, Receive, Scope, Send
from gateway.web.http.bodies import rejection
from gateway.web.http.endpoint import Endpoint, JsonEndpoint, refuse


def fastapi_of(table: Sequence[Endpoint], version: str) -> FastAPI:
    """Return a FastAPI application with every JsonEndpoint of the table."""
    api = FastAPI(
        title="Sluice",
        version=version,
        routes=_routes_of(table),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to http:// behind a proxy that serves https://
        openapi_url=None,  # our own endpoint serves it, with the path prefix of a proxy
    )
    api.add_exception_handler(GatewayError, _refuse)
    api.add_exception_handler(RequestValidationError, _refuse_parameters)
    return api


def _routes_of(table: Sequence[Endpoint]) -> list[BaseRoute]:
    """Return FastAPI's routes. They take 50 ms to make and do not depend on a gateway: cached per table."""
    made = _made.get(id(table))
    if made is None or made[0] is not table:
        router = APIRouter()
        for endpoint in table:
            if isinstance(endpoint, JsonEndpoint):
                router.add_api_route(endpoint.path, endpoint.handler, **_options(endpoint))
        made = _made[id(table)] = (table, router.routes)
    return made[1]


_made: dict[int, tuple[Sequence[Endpoint], list[BaseRoute]]] = {}


def _options(endpoint: JsonEndpoint) -> dict[str, Any]:
    options: dict[str, Any] = {
        "methods": [endpoint.method],
        "name": endpoint.name,
        "operation_id": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "tags": [endpoint.tag],
        "status_code": endpoint.status,
        "responses": dict(endpoint.responses),
        "openapi_extra": body_of(endpoint.body, required=endpoint.body_required),
    }
    if endpoint.answer is not None:
        options["response_model"] = endpoint.answer
    if endpoint.response_class is not None:
        options["response_class"] = endpoint.response_class
    return options


class JsonApi:
    """Adapts requests to FastAPI, which does not support HEAD and expects the root path within the path."""

    def __init__(self, api: App) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "path": root_path_of(scope) + scope["path"]}
        if scope["method"] != "HEAD":
            await self._api(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({"type": "http.response.body", "body": b""})
                raise _HeadSent
            await send(message)

        with suppress(_HeadSent):
            await self._api({**scope, "method": "GET"}, receive, send_head)


class _HeadSent(Exception):
    """Stops the endpoint of a HEAD request before it makes a body."""


class _Refusal(Response):
    """Response with an error in the shape of the request's endpoint."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(status_code=error.status)
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, send, self._error)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for nothing else
    return _Refusal(error)


async def _refuse_parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    return _Refusal(rejection(list(error.errors())))
