"""The JSON request bodies, and their validation."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from gateway.contract.errors import MAX_TOLD_FIELDS, BadRequest, Unprocessable
from gateway.contract.model_limits import MAX_STOP_CHARS, MAX_STOPS, check_sampling
from gateway.contract.requests import Sampling
from gateway.contract.tool_calls import without_nulls
from gateway.web.http.content_field import SaidInParts
from gateway.web.http.json_shape import bare_json, check_digits, check_values, has_endless_number

MAX_OPTIONS_BYTES = 64 * 1024
MAX_ID = 2**63 - 1

Body = TypeVar("Body", bound=BaseModel)


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Said = Annotated[str, AfterValidator(_says_something), Field(json_schema_extra={"pattern": r"\S"})]
"""Text of a message, with at least one character that is not white space."""


def _whole(number: object) -> object:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _is_limit(number: int) -> int:
    if number == 0:
        raise ValueError("must be at least 1, or -1 for no limit")
    return number


# JSON and JSON Schema do not distinguish 1.0 from 1.
WHOLE = BeforeValidator(_whole)
RowId = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE]
TokenCount = Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]
TokenLimit = Annotated[
    int,
    Field(ge=-1, le=2**31 - 1, json_schema_extra={"not": {"const": 0}}),
    AfterValidator(_is_limit),
    WHOLE,
]
"""The most tokens of a reply; -1 is no limit, as for llama.cpp and LM Studio."""
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), WHOLE]


Item = TypeVar("Item")
AtMost512 = Annotated[list[Item], Field(max_length=512, fail_fast=True)]
AtMost2048 = Annotated[list[Item], Field(max_length=2048, fail_fast=True)]
"""Lists whose validation stops at the first invalid item: to find all of them could take seconds."""


Tools = Annotated[
    AtMost512[dict[str, Any]], AfterValidator(lambda tools: [without_nulls(tool) for tool in tools])
]
"""Tools in the form of OpenAI's chat API. A field that is null counts as absent."""


def _stop_schema(schema: dict[str, Any]) -> None:
    text = {"type": "string", "maxLength": MAX_STOP_CHARS}
    schema["anyOf"] = [text, {"type": "array", "items": text, "maxItems": MAX_STOPS}, {"type": "null"}]


Stop = Annotated[str | AtMost512[str] | None, Field(json_schema_extra=_stop_schema)]
"""Stop sequences. check_sampling checks their number and length."""


class SamplingBody(BaseModel):
    """Settings of the model. The model server's defaults apply to absent fields."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: Annotated[str | None, Field(max_length=256)] = None
    temperature: Annotated[float | None, Field(ge=0, le=100, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    max_tokens: TokenCount | None = None
    stop: Stop = None
    seed: Seed | None = None
    tools: Tools | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    options: Annotated[
        dict[str, Any] | None, Field(description="Further settings, passed to the model server unchanged.")
    ] = None

    @field_validator("options")
    @classmethod
    def _is_small(cls, options: dict[str, Any] | None) -> dict[str, Any] | None:
        if options is not None and len(msgspec.json.encode(options)) > MAX_OPTIONS_BYTES:
            raise ValueError(f"must be at most {MAX_OPTIONS_BYTES} bytes of JSON")
        return options

    def sampling(self) -> Sampling:
        """Return the settings. Raises Unprocessable if one is outside of the limits of check_sampling."""
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=self.stop,
            seed=self.seed,
            tools=self.tools,
            tool_choice=self.tool_choice,
            response_format=self.response_format,
            options=self.options or {},
        )
        check_sampling(sampling)
        return sampling


class ReplyBody(SamplingBody):
    """Settings of a reply."""

    system_prompt: str | None = None
    template_id: Annotated[
        RowId | None,
        Field(description="Id of a template. Fields of the message override those of the template."),
    ] = None
    resumable: Annotated[
        bool | None, Field(description="If true, the reply continues when its reader disconnects.")
    ] = None
    continue_on_failure: Annotated[
        bool | None,
        Field(
            description="If true, another server or worker continues the text after a failure in its middle."
        ),
    ] = None


class MirroredBody(ReplyBody):
    mirror: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_.-]{1,64}$",
            description="Name of a device that also gets the reply, over MQTT.",
        ),
    ] = None


class MessageBody(MirroredBody):
    """A message to answer. Unknown fields are ignored, because frontends send fields of their own."""

    content: SaidInParts
    session_id: Annotated[
        RowId | Annotated[str, Field(min_length=1, max_length=300)] | None,
        Field(description="Id, uuid or key of a session. Without it a new session starts."),
    ] = None


class TemplateBody(SamplingBody):
    """A system prompt and model settings, saved under a name."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    system_prompt: Annotated[str | None, Field(max_length=32_000)] = None


class SessionBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    title: Annotated[str | None, Field(max_length=120)] = None


class RenameBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    title: Annotated[str, Field(min_length=1, max_length=120)]


# pydantic reads 1e999 as infinity and accepts NaN: bodies that match are also parsed by a strict parser.
_PERHAPS_ENDLESS = re.compile(rb"NaN|Infinity|(?<![0-9])[0-9]{200}|[eE]\+?[0-9]{3}")


def parse(body: bytes, model: type[Body]) -> Body:
    """Return the body as `model`.

    Raises BadRequest if it is not JSON or has a number that a double cannot hold, and Unprocessable if it
    does not fit the model or has too many values.
    """
    bare = bare_json(body)
    check_values(bare)
    if _PERHAPS_ENDLESS.search(bare):
        _check_numbers(body)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False, include_input=False)
        raise rejection(told) from error


def _check_numbers(body: bytes) -> None:
    check_digits(body)
    too_large = BadRequest("The body has a number that is too large for a double, such as 1e999.")
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError as error:
        raise too_large from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}. NaN and Infinity are no JSON numbers.") from error
    if has_endless_number(body):
        raise too_large


def rejection(errors: list[Any]) -> BadRequest | Unprocessable:
    """Translate pydantic's errors into one exception that names the fields."""
    first: Mapping[str, Any] = errors[0]
    if first["type"] == "json_invalid":
        return BadRequest(f"The body is not JSON: {first['msg']}.")
    fields: dict[str, str] = {}
    for error in errors[:MAX_TOLD_FIELDS]:
        path, message = _path(error["loc"]), str(error["msg"]).removeprefix("Value error, ")
        if path in fields:  # a field with several types has an error for each of them
            message = f"{fields[path]} or {message.removeprefix('Input should be ')}"
        fields[path] = message
    described = "; ".join(f"{field}: {message}" for field, message in fields.items())
    return Unprocessable(f"The request does not fit: {described}.", fields)


_TYPE = re.compile(r"body|str|int|float|bool|constrained-.*|.*\[.*|[A-Z]\w+")
"""Steps of a path that name no field: the body itself, and types of a field that has several."""


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location if not _TYPE.fullmatch(str(step))) or "body"
