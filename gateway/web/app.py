"""The whole HTTP face: the guard in front, the streaming endpoints next, FastAPI for everything else."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway.contract.errors import GatewayError, MethodNotAllowed
from gateway.dialects.lam import Lam
from gateway.web.asgi import App, Receive, Scope, Send
from gateway.web.bodies import rejection
from gateway.web.gateway import Gateway
from gateway.web.guard import OpenModeGuard
from gateway.web.health import health_router
from gateway.web.messages import MessageStream, WholeMessage
from gateway.web.openapi import describe, docs_router
from gateway.web.problems import MEDIA_TYPE, problem, problem_headers, send_problem
from gateway.web.session_events import SessionEvents
from gateway.web.sessions import sessions_router, streams_router
from gateway.web.streams import ResumeStream

STREAM_PATHS = ("/messages/stream", "/api/chatbot/messages/stream")
SESSION_PATH = "/api/chatbot/sessions/"


def create_app(
    gateway: Gateway,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    *,
    allow_open: bool,
    cors_origins: Sequence[str] = (),
) -> App:
    """The ASGI application. lifespan: entered before the first request, left after the last."""

    api = FastAPI(title="Sluice", version=gateway.version, docs_url=None, redoc_url=None)
    api.include_router(health_router(gateway))
    api.include_router(sessions_router(gateway))
    api.include_router(streams_router(gateway))
    api.include_router(docs_router(api))
    api.openapi = describe(api)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    api.add_exception_handler(GatewayError, _tell_gateway_error)
    api.add_exception_handler(RequestValidationError, _tell_validation_error)
    api.add_exception_handler(HTTPException, _tell_http_error)

    stream = MessageStream(gateway, Lam())
    ahead: dict[str, App] = dict.fromkeys(STREAM_PATHS, stream)
    ahead["/api/chatbot/messages"] = WholeMessage(gateway)
    app: App = OpenModeGuard(_Ahead(ahead, gateway, api), allow_open=allow_open, origins=cors_origins)
    if cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=cors_origins,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "X-API-Key",
                "Content-Type",
                "Last-Event-ID",
                "Idempotency-Key",
                "Sluice-Resumable",
                "Sluice-Session",
            ],
            expose_headers=["Sluice-Stream-Id", "Sluice-Resume-Url", "Retry-After"],
        )
    return _Living(app, lifespan)


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
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except GatewayError as error:
            cause = str(error.__cause__ or "").partition("\n")[0]
            await send({"type": "lifespan.startup.failed", "message": f"{error} {cause}".strip()})
            return
        await send({"type": "lifespan.shutdown.complete"})


class _Ahead:
    """Sends what streams straight to its endpoint: FastAPI would wrap each send twice."""

    def __init__(self, endpoints: dict[str, App], gateway: Gateway, rest: App) -> None:
        self._endpoints = endpoints
        self._gateway = gateway
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        endpoint = self._endpoints.get(path)
        folder, _, name = path.rpartition("/")
        if endpoint is not None and method == "POST":
            await endpoint(scope, receive, send)
        elif endpoint is not None:
            await send_problem(send, MethodNotAllowed("Only POST is answered here."))
        elif method == "GET" and folder in STREAM_PATHS:
            await ResumeStream(self._gateway, Lam(), name)(scope, receive, send)
        elif method == "GET" and name == "events" and folder.startswith(SESSION_PATH):
            session = folder.removeprefix(SESSION_PATH)
            await SessionEvents(self._gateway, session)(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


async def _tell_gateway_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for nothing else
    return JSONResponse(
        problem(error), status_code=error.status, headers=problem_headers(error), media_type=MEDIA_TYPE
    )


async def _tell_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    return await _tell_gateway_error(request, rejection(list(error.errors())))


async def _tell_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    code = HTTPStatus(error.status_code).name.lower()
    told = {
        "type": f"urn:sluice:problem:{code}",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": str(error.detail),
        "code": code,
    }
    return JSONResponse(told, status_code=error.status_code, headers=error.headers, media_type=MEDIA_TYPE)
