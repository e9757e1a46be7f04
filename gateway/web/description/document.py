"""The OpenAPI document of the endpoint table."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.web.api.admin.live_views import LiveEvent
from gateway.web.api.admin.simulator_views import SimulatorEvent
from gateway.web.description.bodies import WholeExchange
from gateway.web.description.events import LamRefusal, SessionEvent
from gateway.web.description.openai_objects import ChatCompletion, Embeddings, Model, ModelList, OpenAIError
from gateway.web.description.parameters import TICKET, path_parameter
from gateway.web.description.problems import (
    BODY,
    DOOR,
    AnthropicError,
    FailedReply,
    OllamaError,
    Problem,
    error_responses,
    refusals,
)
from gateway.web.description.room_events import RoomEvent
from gateway.web.description.schemas import body_of
from gateway.web.description.streams import EVENTS
from gateway.web.http.asgi import METHODS_WITH_BODY
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, JsonEndpoint

SUMMARY = "One chat endpoint in front of language models that answer over HTTP or over MQTT."

_ANSWERED: tuple[type[BaseModel], ...] = (
    *EVENTS.values(),
    AnthropicError,
    ChatCompletion,
    Embeddings,
    FailedReply,
    LamRefusal,
    LiveEvent,
    Model,
    ModelList,
    OllamaError,
    OpenAIError,
    Problem,
    RoomEvent,
    SessionEvent,
    SimulatorEvent,
    WholeExchange,
)
_KEYS = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made by `sluice keys create`, or a token of ISSUER_URL.",
    },
    "key_header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
# One of the two headers; neither while there are no keys.
_SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"key_header": []}, {}]


def describe(api: FastAPI, table: Sequence[Endpoint]) -> Callable[[], dict[str, Any]]:
    """Return a replacement for `api.openapi`, which makes the document at the first call."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api, table)
        return api.openapi_schema

    return openapi


def _document(api: FastAPI, table: Sequence[Endpoint]) -> dict[str, Any]:
    document = get_openapi(title=api.title, version=api.version, summary=SUMMARY, routes=api.routes)
    fastapis = document["paths"]
    paths: dict[str, dict[str, Any]] = {}
    used: set[str] = set()
    for endpoint in table:
        if endpoint.method == "WEBSOCKET":
            continue  # OpenAPI cannot describe it
        method, path = endpoint.method.lower(), endpoint.path.replace(":path}", "}")
        if isinstance(endpoint, AsgiEndpoint):
            operation = _asgi_operation(endpoint)
        else:
            assert isinstance(endpoint, JsonEndpoint)  # noqa: S101 - there is no third kind
            operation = fastapis[path][method]
            operation["responses"].pop(
                "422", None
            )  # FastAPI's own error shape, which the gateway does not use
            operation["responses"] |= refusals(
                *{*_errors(endpoint, operation), *endpoint.refuses}, shape=endpoint.errors.name
            )
        operation["security"] = _SECURITY if endpoint.scopes else []
        paths.setdefault(path, {})[method] = operation
        used |= {
            response["$ref"].rpartition("/")[2]
            for response in operation["responses"].values()
            if "$ref" in response
        }
    document["paths"] = paths
    schemas = {**_schemas(table), **document["components"]["schemas"]}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"] = {
        "schemas": schemas,
        "responses": {name: response for name, response in error_responses().items() if name in used},
        "securitySchemes": _KEYS,
    }
    return document


def _asgi_operation(endpoint: AsgiEndpoint) -> dict[str, Any]:
    names = re.findall(r"{(\w+)", endpoint.path)
    errors = {*endpoint.refuses, *(DOOR if endpoint.scopes else (403,)), *(BODY if endpoint.body else ())}
    return {
        "tags": [endpoint.tag],
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": [
            *map(path_parameter, names),
            *endpoint.parameters,
            *([TICKET] if endpoint.ticket is not None else []),
        ],
        **body_of(endpoint.body, required=endpoint.body_required),
        "responses": {**refusals(*errors, shape=endpoint.errors.name), **endpoint.answers},
    }


def _errors(endpoint: Endpoint, operation: dict[str, Any]) -> set[int]:
    """Return the error statuses of a JSON endpoint, derived from its scopes, parameters and body."""
    statuses = {*DOOR, 503} if endpoint.scopes else {403}
    parameters = operation.get("parameters", [])
    if "{" in endpoint.path or any(parameter["name"] == "before" for parameter in parameters):
        statuses.add(404)
    if endpoint.method in METHODS_WITH_BODY:
        statuses.add(415)
    if endpoint.scopes and (parameters or endpoint.body):
        statuses.add(422)
    if endpoint.body:
        statuses |= {*BODY}
    return statuses


def _schemas(table: Sequence[Endpoint]) -> dict[str, Any]:
    bodies = [endpoint.body for endpoint in table if endpoint.body is not None]
    asked = dict.fromkeys(
        model for body in bodies for model in (body if isinstance(body, tuple) else (body,))
    )
    _, told = models_json_schema(
        [
            *((model, "validation") for model in asked),
            *((model, "serialization") for model in _ANSWERED),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = told["$defs"]
    return schemas
