"""Error responses in the OpenAPI document, in each shape."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.contract import errors
from gateway.web.api.views import Message
from gateway.web.chat.anthropic_errors import anthropic_error
from gateway.web.chat.openai_errors import openai_error
from gateway.web.description.events import LamRefusal
from gateway.web.description.openai_objects import OpenAIError
from gateway.web.description.schemas import reference, sometimes
from gateway.web.description.streams import EVENTS, OTHER_FORMATS, event_content, json_of
from gateway.web.http.error_shapes import ANTHROPIC, API_CHAT, LAM_FRAME, OLLAMA, OPENAI, PLAIN_TEXT, PROBLEM
from gateway.web.http.problems import MEDIA_TYPE, problem


class FieldProblem(BaseModel):
    field: Annotated[str, Field(description="Path of the field in the request.")]
    message: str


class Problem(BaseModel):
    """errors: only for 422. error: a copy of `detail`, only at the endpoints of older frontends."""

    type: Annotated[str, Field(examples=["urn:sluice:problem:no_worker"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="Message for people.")]
    code: Annotated[str, Field(description="Stable identifier for programs.")]
    errors: Annotated[list[FieldProblem], sometimes()]
    error: Annotated[str, sometimes()]


class AnthropicErrorKind(BaseModel):
    type: str
    message: str


class AnthropicError(BaseModel):
    type: Literal["error"]
    error: AnthropicErrorKind


class OllamaError(BaseModel):
    error: str


class FailedReply(Problem):
    """A failed reply. Has both messages as stored, if the reply began."""

    user_message: Annotated[Message, sometimes()]
    assistant_message: Annotated[Message, sometimes()]


_SITUATIONS: dict[int, tuple[str, errors.GatewayError]] = {
    400: ("Invalid request", errors.BadRequest("The body is not JSON.")),
    401: ("Missing or invalid API key or token", errors.Unauthorized("The API key is unknown or revoked.")),
    403: (
        "Not allowed for this origin, host, proxy, ticket, API key or token",
        errors.Forbidden("The API key lacks the scope chat."),
    ),
    404: ("Does not exist, or belongs to another user", errors.NotFound("No such session.")),
    405: ("Method not allowed", errors.MethodNotAllowed("Only POST is allowed here.", ["POST"])),
    408: (
        "The request body did not arrive in time",
        errors.TooSlow("No more of the request body arrived for 30 s."),
    ),
    409: (
        "Conflicts with the present state, such as the earlier use of an Idempotency-Key",
        errors.Conflict("This Idempotency-Key was used before."),
    ),
    413: ("Too large", errors.TooLarge("The request body is larger than 1048576 bytes.")),
    415: (
        "Not `application/json`",
        errors.UnsupportedMedia("A body needs the header Content-Type: application/json."),
    ),
    422: (
        "Invalid fields",
        errors.Unprocessable("The request does not fit: limit: too much.", {"limit": "too much"}),
    ),
    429: ("Quota of the user exceeded", errors.LimitExceeded("More than 120 requests in a minute.")),
    431: ("Request head too large", errors.HeadTooLarge("The request's head is larger than 65536 bytes.")),
    501: (
        "No model server or worker can do that",
        errors.NotSupported("No MQTT worker makes embeddings."),
    ),
    502: ("The model server failed", errors.UpstreamFailed("The model server broke off.")),
    503: ("No model server or worker can answer now", errors.NoWorker("No worker is ready.")),
    529: ("No model server or worker can answer now", errors.NoWorker("No worker is ready.")),
    504: ("The model took too long", errors.TimedOut("The model server was silent for 60 s.")),
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_LIMITED = {
    **_RETRY,
    "RateLimit-Policy": {"description": "The limits of the caller.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of each limit.", "schema": {"type": "string"}},
}
_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string", "pattern": "^Bearer"}}}
_HEADERS = {401: _CHALLENGE, 403: _CHALLENGE, 429: _LIMITED, 503: _RETRY}

FAILED_REPLY = FailedReply.__name__

# Status codes of authentication, of reading a body, and of a gateway without a model server.
DOOR = (401, 403, 429)
BODY = (400, 408, 413, 415)
NOBODY = (502, 503, 504)

_FRAMES: tuple[type[BaseModel], ...] = (LamRefusal, OpenAIError, *EVENTS.values())
"""Models of the frame that refuses a request, which depends on its dialect."""


def error_responses() -> dict[str, Any]:
    """Return `components.responses`: every status in every error shape, and as a failed reply."""
    told: dict[str, Any] = {}
    for status, (description, error) in _SITUATIONS.items():
        for name, media_type, schema, example in (
            (PROBLEM.name, MEDIA_TYPE, Problem, problem(error)),
            (FAILED_REPLY, MEDIA_TYPE, FailedReply, problem(error)),
            (OPENAI.name, "application/json", OpenAIError, openai_error(error)[1]),
            (ANTHROPIC.name, "application/json", AnthropicError, anthropic_error(error)[1]),
            (OLLAMA.name, "application/json", OllamaError, {"error": str(error)}),
            (PLAIN_TEXT.name, "text/plain", None, str(error)),
        ):
            told[f"{name}{status}"] = {
                "description": description,
                "headers": _HEADERS.get(status, {}),
                "content": {media_type: {"schema": _schema_of(schema), "example": example}},
            }
        as_problem = told[f"{PROBLEM.name}{status}"]
        frames = event_content([*map(json_of, _FRAMES), {"const": "[DONE]"}])
        content = {**as_problem["content"], **frames, **OTHER_FORMATS}
        told[f"{LAM_FRAME.name}{status}"] = {**as_problem, "content": content}
        either = [told[f"{shape.name}{status}"] for shape in (OLLAMA, PLAIN_TEXT)]
        content = {media_type: body for one in either for media_type, body in one["content"].items()}
        told[f"{API_CHAT.name}{status}"] = {**either[0], "content": content}
    return told


def _schema_of(model: type[BaseModel] | None) -> dict[str, Any]:
    return {"type": "string"} if model is None else reference(model)


def refusals(*statuses: int, shape: str = PROBLEM.name) -> dict[str, Any]:
    """Return an operation's `responses` for these error statuses, in this shape."""
    return {str(status): {"$ref": f"#/components/responses/{shape}{status}"} for status in sorted(statuses)}
