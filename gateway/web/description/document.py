"""The whole description: FastAPI's own, the operations ahead of it, and what all have in common."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.web.chat.frontend_forms import WordsBody
from gateway.web.chat.openai_form import CompletionBody
from gateway.web.description.bodies import LunarBody, PrinterBody, WholeExchange
from gateway.web.description.events import LamRefusal, SessionEvent
from gateway.web.description.openai_objects import ChatCompletion, Model, ModelList, OpenAIError
from gateway.web.description.operations import ahead_of_fastapi
from gateway.web.description.problems import FailedReply, Problem, error_responses, refusals
from gateway.web.description.streams import EVENTS
from gateway.web.http.bodies import MessageBody, RenameBody, SessionBody, TemplateBody
from gateway.web.http.paths import is_public

SUMMARY = "One chat endpoint in front of language models that answer over HTTP or over MQTT."

_ASKED: tuple[type[BaseModel], ...] = (
    CompletionBody,
    LunarBody,
    MessageBody,
    PrinterBody,
    RenameBody,
    SessionBody,
    TemplateBody,
    WordsBody,
)
_ANSWERED: tuple[type[BaseModel], ...] = (
    *EVENTS.values(),
    ChatCompletion,
    FailedReply,
    LamRefusal,
    Model,
    ModelList,
    OpenAIError,
    Problem,
    SessionEvent,
    WholeExchange,
)
_KEYS = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of `sluice keys create`."},
    "key_header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
# Either header; or none, while there are no keys.
_SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"key_header": []}, {}]


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A replacement for `app.openapi`; the document is made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def methods_of(described: dict[str, Any], path: str) -> list[str]:
    """The methods that are answered at a path, in capitals."""
    return [
        method.upper()
        for template, methods in described["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
        for method in methods
    ]


def _document(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(title=app.title, version=app.version, summary=SUMMARY, routes=app.routes)
    for path, method, operation in _operations(told):
        operation["responses"].pop("422", None)  # FastAPI's own shape, which is not ours
        operation["responses"] |= _what_refuses(path, method, operation)
    for path, methods in ahead_of_fastapi().items():
        told["paths"].setdefault(path, {}).update(methods)
    for path, _, operation in _operations(told):
        operation["security"] = [] if is_public(path) else _SECURITY
    schemas = {**_schemas(), **told["components"]["schemas"]}
    for fastapis in ("HTTPValidationError", "ValidationError"):
        schemas.pop(fastapis, None)
    used = {
        response["$ref"].rpartition("/")[2]
        for _, _, operation in _operations(told)
        for response in operation["responses"].values()
        if "$ref" in response
    }
    told["components"] = {
        "schemas": schemas,
        "responses": {name: told for name, told in error_responses().items() if name in used},
        "securitySchemes": _KEYS,
    }
    return told


def _operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _what_refuses(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The errors of an operation of FastAPI's, told by what it takes."""
    if is_public(path):
        return refusals(403)
    statuses = {401, 403, 429, 503}
    parameters = operation.get("parameters", [])
    if "{" in path or any(parameter["name"] == "before" for parameter in parameters):
        statuses.add(404)
    if method in {"post", "put", "patch"}:
        statuses.add(415)
    if parameters or "requestBody" in operation:
        statuses.add(422)
    if "requestBody" in operation:
        statuses |= {400, 408, 413}
    return refusals(*statuses)


def _schemas() -> dict[str, Any]:
    _, told = models_json_schema(
        [
            *((model, "validation") for model in _ASKED),
            *((model, "serialization") for model in _ANSWERED),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = told["$defs"]
    return schemas
