"""Parses the body of OpenAI's chat completions into a question with its whole history."""

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from gateway.contract.content_parser import read_content
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.requests import Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.contract.tool_calls import whole_call
from gateway.core.question import Question
from gateway.dialects.openai import OpenAI, completion_json
from gateway.web.chat.agent_sessions import agent_session
from gateway.web.chat.branches import branch_without_ids
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.whole_conversations import answering_model, latest_question
from gateway.web.http.bodies import (
    MAX_OPTIONS_BYTES,
    WHOLE,
    AtMost512,
    AtMost2048,
    Seed,
    Stop,
    TokenCount,
    TokenLimit,
    Tools,
    parse,
)
from gateway.web.http.content_field import check_chars, content_schema
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

_REFUSED = ("functions", "function_call", "audio", "prediction", "web_search_options")
"""Refused fields, which would change the shape of the response. Other unknown fields are passed on."""


_REFUSAL = {
    "type": "object",
    "properties": {"type": {"const": "refusal"}, "refusal": {"type": "string"}},
    "required": ["type", "refusal"],
    "description": "The assistant's refusal, in place of content.",
}
_CONTENT = content_schema({"type": ["string", "null"]}, _REFUSAL, says_something=False)
_CONTENT_UNLESS_ASSISTANT: JsonDict = {
    "if": {"properties": {"role": {"const": "assistant"}}},
    "else": {
        "required": ["content"],
        "properties": {"content": {"type": ["string", "array"]}},
        "if": {"properties": {"role": {"const": "tool"}}},
        "else": {"properties": {"content": {"minItems": 1}}},
    },
}


def _only(value: object) -> dict[str, Any]:
    """Return the schema of a field with only one supported value."""
    return {"anyOf": [{"const": value}, {"type": "null"}]}


def _is_content(said: object) -> object:
    if not isinstance(said, str | list | None):
        raise ValueError("must be a string or a list of parts")
    return said


def _refused_properties(schema: dict[str, Any]) -> None:
    schema["properties"].update({name: {"type": "null"} for name in _REFUSED})


class ChatMessage(BaseModel):
    """One turn. Its other fields (`id`, `timestamp`, ...) are ignored.

    reasoning_content: the model's reasoning; vLLM and OpenRouter name it `reasoning`. refusal: replaces the
    content of an assistant's message.
    """

    model_config = ConfigDict(extra="ignore", strict=True, json_schema_extra=_CONTENT_UNLESS_ASSISTANT)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Any, AfterValidator(_is_content), Field(json_schema_extra=_CONTENT)] = None
    name: str | None = None
    tool_calls: AtMost512[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: Annotated[Any, Field(json_schema_extra={"type": ["string", "null"]})] = None
    refusal: str | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool | None = None


class CompletionBody(BaseModel):
    """Fields that are not listed are passed to the model server unchanged, as for `extra_body`."""

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra=_refused_properties)

    messages: Annotated[AtMost2048[ChatMessage], Field(min_length=1)]
    model: Annotated[str | None, Field(max_length=256)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[TokenCount | None, Field(json_schema_extra=_only(1))] = None
    temperature: Annotated[float | None, Field(ge=0, le=100, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    stop: Stop = None
    seed: Seed | None = None
    tools: Tools | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    modalities: Annotated[AtMost512[str] | None, Field(json_schema_extra=_only(["text"]))] = None
    logprobs: Annotated[bool | None, Field(json_schema_extra=_only(False))] = None
    top_logprobs: Annotated[int | None, Field(json_schema_extra=_only(0)), WHOLE] = None

    @model_validator(mode="after")
    def _is_supported(self) -> "CompletionBody":
        refused = next((name for name in _REFUSED if (self.model_extra or {}).get(name) is not None), None)
        if self.n not in (None, 1):
            refused = "n"
        elif self.logprobs:
            refused = "logprobs"
        elif self.top_logprobs:
            refused = "top_logprobs"
        elif self.modalities not in (None, ["text"]):
            refused = "modalities"
        if refused is not None:
            raise misfit(refused, "is not supported")
        if len(msgspec.json.encode(self.options)) > MAX_OPTIONS_BYTES:
            raise ValueError(f"fields for the model server must be at most {MAX_OPTIONS_BYTES} bytes of JSON")
        return self

    @property
    def options(self) -> dict[str, Any]:
        return {name: value for name, value in (self.model_extra or {}).items() if value is not None}

    def sampling(self) -> Sampling:
        """Return the settings. Raises Unprocessable if one is outside of the limits of check_sampling."""
        limit = self.max_completion_tokens or self.max_tokens
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=None if limit == -1 else limit,
            stop=self.stop,
            seed=self.seed,
            tools=self.tools,
            tool_choice=self.tool_choice,
            response_format=self.response_format,
            options=self.options,
        )
        check_sampling(sampling, options="")
        return sampling


class CompletionForm:
    """Form of one request. streams: True if the request asks for a stream; valid after `read`."""

    def __init__(self) -> None:
        self.streams = False

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body.

        Raises Unprocessable, naming the field, if it is invalid or not supported, and NotFound if the header
        `Sluice-Session` does not name a session of the user.
        """
        body, turns = await unhurried(len(post.body), partial(_read, post.body, gateway.max_attachment_bytes))
        self.streams = bool(body.stream)
        at, said = latest_question(turns)
        check_chars(said, gateway.max_content_chars, f"messages.{at}.content")
        session_id, thread = await agent_session(gateway, post, "openai")
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=turns,
            session_id=session_id,
            thread=thread,
            branch=branch_without_ids(turns),
            model=body.model,
            sampling=body.sampling(),
        )
        include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        dialect = OpenAI(answering_model(gateway, body.model), include_usage=include_usage)
        return Asked(question, dialect)

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        return completion_json(reply, stream_id)


def _read(raw: bytes, max_attachment_bytes: int) -> tuple[CompletionBody, list[Turn]]:
    body = parse(raw, CompletionBody)
    return body, [_turn(at, message, max_attachment_bytes) for at, message in enumerate(body.messages)]


def _turn(at: int, message: ChatMessage, max_attachment_bytes: int) -> Turn:
    if message.content is None and not message.tool_calls and message.role != "assistant":
        raise misfit(f"messages.{at}.content", "is required")
    role: Literal["system", "user", "assistant", "tool"] = (
        "system" if message.role == "developer" else message.role
    )
    return Turn(
        role,
        read_content(_readable(message), f"messages.{at}.content", max_attachment_bytes),
        tool_calls=[whole_call(call) for call in message.tool_calls or ()],
        tool_call_id=message.tool_call_id,
        name=message.name,
        reasoning_content=message.reasoning_content or _string(message.reasoning),
    )


def _string(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _readable(message: ChatMessage) -> object:
    """Return the content, with an assistant's refusal as text."""
    content = message.content
    if content == [] and message.role in ("assistant", "tool"):  # as rigging sends calls and results
        return ""
    if not isinstance(content, list):
        return content or message.refusal or ""
    return [
        {"type": "text", "text": part.get("refusal")}
        if isinstance(part, dict) and part.get("type") == "refusal"
        else part
        for part in content
    ]
