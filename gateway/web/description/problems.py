"""Errors in the description: RFC 9457 problems, and OpenAI's own shape where its clients ask."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.contract import errors
from gateway.web.api.views import Message
from gateway.web.chat.anthropic_errors import anthropic_error
from gateway.web.chat.openai_errors import openai_error
from gateway.web.description.events import LamRefusal
from gateway.web.description.openai_objects import OpenAIError
from gateway.web.description.schemas import reference, sometimes
from gateway.web.description.streams import EVENTS, event_content, json_of
from gateway.web.http.error_shapes import ANTHROPIC, LAM_FRAME, OLLAMA, OPENAI, PROBLEM
from gateway.web.http.problems import MEDIA_TYPE, problem


class FieldProblem(BaseModel):
    field: Annotated[str, Field(description="Its path in the request.")]
    message: str


class Problem(BaseModel):
    """errors: of a 422. error: `detail` again, at the endpoints of older frontends."""

    type: Annotated[str, Field(examples=["urn:sluice:problem:no_worker"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="One sentence for people.")]
    code: Annotated[str, Field(description="A stable word for programs.")]
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
    """A reply that failed, with both messages as they were kept; without them where it could not begin."""

    user_message: Annotated[Message, sometimes()]
    assistant_message: Annotated[Message, sometimes()]


_SITUATIONS: dict[int, tuple[str, errors.GatewayError]] = {
    400: ("Not JSON, or what nobody could mean", errors.BadRequest("The body is not JSON.")),
    401: ("A key is needed", errors.Unauthorized("No such key, or no longer.")),
    403: ("Not from here, or not with this key", errors.Forbidden("This key lacks the scope chat.")),
    404: ("Unknown, or somebody else's", errors.NotFound("No such session.")),
    405: ("Method not allowed", errors.MethodNotAllowed("Only POST is allowed here.", ["POST"])),
    408: ("The body stayed away", errors.TooSlow("Nothing more of the request came for 30 s.")),
    409: ("The Idempotency-Key was used otherwise", errors.Conflict("This Idempotency-Key was used before.")),
    413: ("Too large", errors.TooLarge("The request body is larger than 1048576 bytes.")),
    415: (
        "Not `application/json`",
        errors.UnsupportedMedia("A body needs the header Content-Type: application/json."),
    ),
    422: (
        "Well-formed, with fields that do not fit",
        errors.Unprocessable("The request does not fit: limit: too much.", {"limit": "too much"}),
    ),
    429: ("More than this user may", errors.LimitExceeded("More than 120 requests in a minute.")),
    431: ("The head is too large", errors.HeadTooLarge("The request's head is larger than 65536 bytes.")),
    502: ("The model server failed", errors.UpstreamFailed("The model server broke off.")),
    503: ("Nobody can answer now", errors.NoWorker("No worker is ready.")),
    529: ("Nobody can answer now", errors.NoWorker("No worker is ready.")),
    504: ("The model took too long", errors.TimedOut("The model server was silent for 60 s.")),
}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}}
_HEADERS = {401: _CHALLENGE, 429: _RETRY, 503: _RETRY}

FAILED_REPLY = FailedReply.__name__

# The errors of the door and of a body, and those of a gateway in which nobody can answer.
DOOR = (401, 403, 429)
BODY = (400, 408, 413, 415)
NOBODY = (502, 503, 504)

_FRAMES: tuple[type[BaseModel], ...] = (LamRefusal, OpenAIError, *EVENTS.values())
"""What a refusal's frame may hold: it is in the dialect that was asked for."""


def error_responses() -> dict[str, Any]:
    """The description's `components.responses`: every status as a problem, in OpenAI's shape, with what was
    kept of a reply, and as a frame where frontends never look at the status."""
    told: dict[str, Any] = {}
    for status, (description, error) in _SITUATIONS.items():
        for name, media_type, schema, example in (
            (PROBLEM.name, MEDIA_TYPE, Problem, problem(error)),
            (FAILED_REPLY, MEDIA_TYPE, FailedReply, problem(error)),
            (OPENAI.name, "application/json", OpenAIError, openai_error(error)[1]),
            (ANTHROPIC.name, "application/json", AnthropicError, anthropic_error(error)[1]),
            (OLLAMA.name, "application/json", OllamaError, {"error": str(error)}),
        ):
            told[f"{name}{status}"] = {
                "description": description,
                "headers": _HEADERS.get(status, {}),
                "content": {media_type: {"schema": reference(schema), "example": example}},
            }
        as_problem = told[f"{PROBLEM.name}{status}"]
        content = {**as_problem["content"], **event_content([*map(json_of, _FRAMES), {"const": "[DONE]"}])}
        told[f"{LAM_FRAME.name}{status}"] = {**as_problem, "content": content}
    return told


def refusals(*statuses: int, shape: str = PROBLEM.name) -> dict[str, Any]:
    """An operation's `responses` for these errors, in this shape."""
    return {str(status): {"$ref": f"#/components/responses/{shape}{status}"} for status in sorted(statuses)}
