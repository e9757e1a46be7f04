"""Assembles the ASGI application: authentication, streaming endpoints, and FastAPI for the JSON endpoints."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from gateway.contract.errors import GatewayError
from gateway.web.api.health import Readiness
from gateway.web.description.document import describe
from gateway.web.door.auth import Auth
from gateway.web.door.cors import Cors
from gateway.web.door.limit_headers import LimitHeaders
from gateway.web.door.open_mode import OpenMode
from gateway.web.door.proxies import PathPrefix, TrustedProxies
from gateway.web.endpoints.table import ELSEWHERE, ENDPOINTS
from gateway.web.http.access_log import AccessLog
from gateway.web.http.any_server import AnyServer
from gateway.web.http.asgi import App, Receive, Scope, Send
from gateway.web.http.decoded_bodies import DecodedBodies
from gateway.web.http.endpoint import Endpoint
from gateway.web.http.json_api import JsonApi, fastapi_of
from gateway.web.http.request_ids import RequestIds
from gateway.web.http.routes import Dispatcher, Router, Routes
from gateway.web.http.traced_requests import TracedRequests
from gateway.web.services import Services


def create_app(
    gateway: Services,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    *,
    open_mode: OpenMode,
    proxies: TrustedProxies,
    cors_origins: Sequence[str] = (),
    root_path: str = "",
    log_access: bool = False,
    table: Sequence[Endpoint] = ENDPOINTS,
) -> App:
    """Return the ASGI application. lifespan: entered before the first request, left after the last."""
    routes = Routes(table, ELSEWHERE)
    app: App = Dispatcher(routes, gateway, JsonApi(api_of(gateway, table)))
    app = DecodedBodies(app, gateway)
    app = Auth(app, gateway, open_mode, LimitHeaders(gateway.conversations.places, gateway.budgets))
    app = Cors(app, cors_origins, routes.methods_at)
    if gateway.traces.enabled:
        app = TracedRequests(app, gateway.traces)
    app = RequestIds(app)
    app = Router(app, routes, gateway.refusals)
    app = PathPrefix(app, root_path, proxies)
    if log_access:
        app = AccessLog(app)
    return _Living(AnyServer(app, gateway.slow_readers), lifespan)


def api_of(gateway: Services, table: Sequence[Endpoint] = ENDPOINTS) -> FastAPI:
    """Return FastAPI with the table's JSON endpoints, and with the OpenAPI document of all endpoints."""
    api = fastapi_of(table, gateway.version)
    api.state.gateway = gateway
    api.state.readiness = Readiness(gateway)
    api.openapi = describe(api, table)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return api


class _Living:
    """Answers the server's lifespan messages. A GatewayError at startup is reported in one line."""

    def __init__(self, app: App, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._app = app
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        refusal: BaseException | None = None
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except* GatewayError as group:  # may be nested in groups, because task groups are open
            refusal = group
        while isinstance(refusal, BaseExceptionGroup):
            refusal = refusal.exceptions[0]
        if refusal is None:
            await send({"type": "lifespan.shutdown.complete"})
            return
        cause, message = str(refusal.__cause__ or "").partition("\n")[0], str(refusal)
        if cause not in message:
            message = f"{message} {cause}"
        await send({"type": "lifespan.startup.failed", "message": message})
