"""OpenAI's Responses."""

from gateway.dialects.responses import Responses
from gateway.web.chat.responses_api import (
    CancelResponse,
    CreateResponse,
    DeleteResponse,
    InputItems,
    ReadResponse,
)
from gateway.web.chat.responses_form import ResponseBody
from gateway.web.description.parameters import ASKING, SLUICE_SESSION, Parameter
from gateway.web.description.problems import NOBODY
from gateway.web.description.streams import object_or, stream_of
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, body_with_parts
from gateway.web.http.error_shapes import OPENAI

_REQUIRED = (
    "id",
    "object",
    "created_at",
    "status",
    "model",
    "output",
)
_STREAM: Parameter = {
    "name": "stream",
    "in": "query",
    "description": "`true`: its events instead of the object.",
    "schema": {"type": "string"},
}
_STARTING_AFTER: Parameter = {
    "name": "starting_after",
    "in": "query",
    "description": "The `sequence_number` of the last event that was read; from the beginning without it.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999_999},
}
_PAGE: tuple[Parameter, ...] = (
    {
        "name": "limit",
        "in": "query",
        "description": "At most so many, and at most 100; 20 without it.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999_999},
    },
    {
        "name": "order",
        "in": "query",
        "description": "`asc`: the first item first.",
        "schema": {"type": "string"},
    },
)

RESPONSES: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="POST",
        path="/v1/responses",
        handler=CreateResponse,
        name="create_response",
        summary="OpenAI's responses",
        description="A stream with `stream: true`, else one object; with `background: true` at once.",
        tag="responses",
        errors=OPENAI,
        body=ResponseBody,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={"200": object_or(stream_of(Responses()), required=_REQUIRED)},
        refuses=(404, 409, *NOBODY),
    ),
    AsgiEndpoint(
        method="GET",
        path="/v1/responses/{response_id}",
        handler=ReadResponse,
        name="response",
        summary="A response, whole or its events",
        description="While it is made and after it has ended.",
        tag="responses",
        errors=OPENAI,
        parameters=(_STREAM, _STARTING_AFTER),
        answers={"200": object_or(stream_of(Responses()), required=_REQUIRED)},
        refuses=(400, 404, 503),
    ),
    AsgiEndpoint(
        method="DELETE",
        path="/v1/responses/{response_id}",
        handler=DeleteResponse,
        name="delete_response",
        summary="Delete a response",
        description="With its question, unless that has another response. A running one is stopped first.",
        tag="responses",
        errors=OPENAI,
        answers={"200": object_or(required=("id", "object", "deleted"))},
        refuses=(404, 503),
    ),
    AsgiEndpoint(
        method="POST",
        path="/v1/responses/{response_id}/cancel",
        handler=CancelResponse,
        name="cancel_response",
        summary="Stop a response",
        description="Repeating it gives the same answer.",
        tag="responses",
        errors=OPENAI,
        rate_limited=False,
        answers={"200": object_or(required=_REQUIRED)},
        refuses=(404, 503),
    ),
    AsgiEndpoint(
        method="GET",
        path="/v1/responses/{response_id}/input_items",
        handler=InputItems,
        name="response_input_items",
        summary="What a response was asked",
        description="Its input items, the last one first.",
        tag="responses",
        errors=OPENAI,
        parameters=_PAGE,
        answers={"200": object_or(required=("object", "data", "has_more"))},
        refuses=(400, 404, 503),
    ),
)
