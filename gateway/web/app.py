"""The whole HTTP face: the door in front, the streaming endpoints next, FastAPI for everything else."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway.contract.errors import GatewayError, MethodNotAllowed
from gateway.web.api.health import LastHealth, Readiness, health_router
from gateway.web.api.metrics import metrics_router
from gateway.web.api.pages import pages_router
from gateway.web.api.sessions import sessions_router, streams_router
from gateway.web.api.templates import templates_router
from gateway.web.api.usage import usage_router
from gateway.web.api.workers import workers_router
from gateway.web.description.document import describe, methods_of
from gateway.web.door.auth import Auth
from gateway.web.door.cors import Cors
from gateway.web.door.open_mode import OpenMode
from gateway.web.door.proxies import PathPrefix, TrustedProxies, root_path_of
from gateway.web.door.session_tickets import session_tickets_router
from gateway.web.http.asgi import App, Receive, Scope, Send
from gateway.web.http.bodies import rejection
from gateway.web.http.decoded_bodies import DecodedBodies
from gateway.web.http.problems import MEDIA_TYPE, problem, problem_headers
from gateway.web.http.streaming_routes import Ahead
from gateway.web.services import Services


def create_app(
    gateway: Services,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    *,
    open_mode: OpenMode,
    proxies: TrustedProxies,
    cors_origins: Sequence[str] = (),
    root_path: str = "",
) -> App:
    """The ASGI application. lifespan: entered before the first request, left after the last."""
    app = Auth(
        DecodedBodies(Ahead(gateway, api_of(gateway)), gateway.max_body_bytes),
        gateway.keys,
        gateway.rates,
        gateway.tickets,
        open_mode,
    )
    return _Living(PathPrefix(Cors(app, cors_origins), root_path, proxies), lifespan)


def api_of(gateway: Services) -> FastAPI:
    """Every endpoint that is no stream, and the description of all."""
    api = FastAPI(
        title="Sluice",
        version=gateway.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would lead to http://, also where a proxy offers us under https://
        openapi_url=None,  # pages.py tells it, with the prefix under which we are reached
        generate_unique_id_function=lambda route: route.name,
    )
    health = LastHealth(gateway.modes.health)
    readiness = Readiness(gateway, health)
    api.include_router(health_router(gateway, readiness))
    api.include_router(metrics_router(gateway, health))
    api.include_router(sessions_router(gateway))
    api.include_router(streams_router(gateway))
    api.include_router(session_tickets_router(gateway))
    api.include_router(templates_router(gateway))
    api.include_router(usage_router(gateway))
    api.include_router(workers_router(gateway))
    api.include_router(pages_router(gateway, readiness))
    api.openapi = describe(api)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    api.add_exception_handler(GatewayError, _tell_gateway_error)
    api.add_exception_handler(RequestValidationError, _tell_validation_error)
    api.add_exception_handler(HTTPException, _tell_http_error)
    return api


class _Living:
    """Answers the server's lifespan messages: a start that fails is told in one line, not in a traceback."""

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
        except* GatewayError as group:  # in groups within groups: task groups were open already
            refusal = group
        while isinstance(refusal, BaseExceptionGroup):
            refusal = refusal.exceptions[0]
        if refusal is None:
            await send({"type": "lifespan.shutdown.complete"})
            return
        cause = str(refusal.__cause__ or "").partition("\n")[0]
        await send({"type": "lifespan.startup.failed", "message": f"{refusal} {cause}".strip()})


async def _tell_gateway_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for nothing else
    return JSONResponse(
        problem(error), status_code=error.status, headers=problem_headers(error), media_type=MEDIA_TYPE
    )


async def _tell_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    return await _tell_gateway_error(request, rejection(list(error.errors())))


async def _tell_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # FastAPI names the methods of one of the path's routes only.
        path = request.scope["path"].removeprefix(root_path_of(request.scope))
        allowed = methods_of(request.app.openapi(), path) or ["GET"]
        refusal = MethodNotAllowed(f"Only {' or '.join(allowed)} is answered here.", allowed)
        return await _tell_gateway_error(request, refusal)
    code = HTTPStatus(error.status_code).name.lower()
    told = {
        "type": f"urn:sluice:problem:{code}",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": str(error.detail),
        "code": code,
    }
    return JSONResponse(told, status_code=error.status_code, headers=error.headers, media_type=MEDIA_TYPE)
