"""The API's description: FastAPI's own, and beside it the endpoints that stand ahead of FastAPI."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse

from gateway.web.bodies import MessageBody

_SWAGGER = Path(__file__).parent / "static" / "swagger-ui"
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

_STREAM_EXAMPLE = """\
data: {"type":"metadata","session_id":1,"user_message_id":1,"assistant_message_id":2,"stream_id":"…",…}

data: {"type":"chunk","content":"Hello"}

data: {"type":"done","reason":"stop","assistant_message_id":2,"full_content":"Hello",…}

"""
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:sluice:problem:no_worker"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A replacement for `app.openapi` that knows the streaming endpoints too."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["MessageBody"] = MessageBody.model_json_schema()
            schemas["Problem"] = _PROBLEM
            for path in ("/messages/stream", "/api/chatbot/messages/stream"):
                schema["paths"].setdefault(path, {})["post"] = _stream_operation()
            schema["paths"].setdefault("/api/chatbot/messages", {})["post"] = _whole_operation()
            app.openapi_schema = schema
        return app.openapi_schema

    return openapi


def docs_router(app: FastAPI) -> APIRouter:
    """`/docs` from files of our own: FastAPI's page loads its script from a CDN."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{app.title} API",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="data:,",
            swagger_ui_parameters={"validatorUrl": None},
        )

    for name, media_type in _ASSETS.items():
        router.add_api_route(f"/docs/{name}", _serve(_SWAGGER / name, media_type))
    return router


def _serve(path: Path, media_type: str) -> Callable[[], FileResponse]:
    def asset() -> FileResponse:
        return FileResponse(path, media_type=media_type, headers={"cache-control": "max-age=86400"})

    return asset


def _stream_operation() -> dict[str, Any]:
    return _operation(
        "Ask, and read the reply as it comes",
        "Server-Sent Events: `metadata` first, then `chunk`, `reasoning`, `tool_call` and `progress` as they "
        "happen, and exactly one of `done` and `error` last.",
        {"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}},
    )


def _whole_operation() -> dict[str, Any]:
    return _operation(
        "Ask, and wait for the whole reply",
        "The same as the stream, answered when the reply has ended.",
        {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "user_message": {"type": "object"},
                        "assistant_message": {"type": "object"},
                    },
                }
            }
        },
    )


def _operation(summary: str, description: str, content: dict[str, Any]) -> dict[str, Any]:
    problem = {
        "description": "What is wrong, as RFC 9457 problem+json",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return {
        "tags": ["messages"],
        "summary": summary,
        "description": description,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MessageBody"}}},
        },
        "responses": {
            "200": {"description": "The reply", "content": content},
            **dict.fromkeys(("400", "403", "404", "413", "415", "422", "502", "503"), problem),
        },
    }
