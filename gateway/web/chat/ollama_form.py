"""Parses the bodies of Ollama's `/api/chat` and `/api/generate` into questions with their whole history."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.contract.content import Content
from gateway.contract.content_parser import ConvertedPart, read_converted
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.requests import Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.contract.tool_calls import arguments_of
from gateway.core.question import Question
from gateway.dialects.ollama import Ollama, answer_json, loaded_json
from gateway.web.chat.agent_sessions import agent_session
from gateway.web.chat.branches import branch_without_ids
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.model_api import NoQuestion
from gateway.web.chat.whole_conversations import answering_model, latest_question, with_one_beginning
from gateway.web.http.bodies import MAX_OPTIONS_BYTES, AtMost512, AtMost2048, Tools, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""Media types by the first bytes of an image: Ollama's images have no media type."""

_LOADING = frozenset({"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "numa"})
"""Ignored options: they are for loading a model, and model servers have theirs loaded."""

Object = dict[str, Any]


def _role(said: object) -> object:
    role = said.lower() if isinstance(said, str) else said
    return "system" if role == "developer" else role


class OllamaMessage(BaseModel):
    """content: null is empty, as Ollama reads it. role: in upper or lower case; `developer` is `system`."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: Annotated[Literal["system", "user", "assistant", "tool"], BeforeValidator(_role)]
    content: str | None = None
    thinking: str | None = None
    images: AtMost512[str] | None = None
    tool_calls: AtMost512[Object] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaBody(BaseModel):
    """Fields of both endpoints. Fields that are not listed are ignored.

    keep_alive: seconds or a duration such as "5m"; 0 asks to unload the model, which is answered only.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    model: Annotated[str | None, Field(max_length=256)] = None
    stream: bool | None = None
    options: Object | None = None
    format: str | Object | None = None
    think: bool | str | None = None
    keep_alive: Any = None

    @property
    def unloads(self) -> bool:
        return str(self.keep_alive).rstrip("nuµmsh") in ("0", "0.0")

    def sampling(self, tools: Sequence[Object] | None = None) -> Sampling:
        """Return the settings. Raises Unprocessable if one is outside of the limits of check_sampling."""
        given = {name: value for name, value in (self.options or {}).items() if value is not None}
        if len(msgspec.json.encode(given)) > MAX_OPTIONS_BYTES:
            raise misfit("options", f"must be at most {MAX_OPTIONS_BYTES} bytes of JSON")
        count = _number(given, "num_predict", int)
        sampling = Sampling(
            temperature=_number(given, "temperature", float),
            top_p=_number(given, "top_p", float),
            max_tokens=count if count is None or count > 0 else None,
            stop=_stop(given.pop("stop", None)),
            seed=_number(given, "seed", int),
            tools=tools or None,
            response_format=_response_format(self.format),
            options={name: value for name, value in given.items() if name not in _LOADING} | self._thinks(),
        )
        check_sampling(sampling)
        return sampling

    def _thinks(self) -> Object:
        if self.think is None:
            return {}
        kwargs: Object = {"enable_thinking": bool(self.think)}
        if self.think and isinstance(self.think, str):
            kwargs["reasoning_effort"] = self.think
        return {"chat_template_kwargs": kwargs}


class OllamaChatBody(OllamaBody):
    messages: AtMost2048[OllamaMessage] | None = None
    tools: Tools | None = None


class OllamaGenerateBody(OllamaBody):
    """raw: the prompt goes to the model as it is, without a chat template."""

    prompt: str | None = None
    system: str | None = None
    images: AtMost512[str] | None = None
    suffix: str | None = None
    raw: bool | None = None

    @model_validator(mode="after")
    def _is_supported(self) -> "OllamaGenerateBody":
        if self.suffix:
            raise misfit("suffix", "is not supported")
        if self.raw and (self.system or self.images):
            raise misfit("raw", "must not be sent together with system or images")
        return self


class OllamaForm:
    """Form of one request. streams: False if the body has `stream: false`; valid after `read`."""

    def __init__(self, shape: Literal["chat", "generate"]) -> None:
        self._shape = shape
        self._model = ""
        self.streams = True

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body. Raises Unprocessable, naming the field, if it is invalid or not supported."""
        read = _read_chat if self._shape == "chat" else _read_generate
        max_bytes = gateway.max_attachment_bytes
        body, turns, sampling = await unhurried(len(post.body), partial(read, post.body, max_bytes))
        self._model = body.model or answering_model(gateway, None)
        if not any(turn.content for turn in turns):
            raise NoQuestion(loaded_json(self._model, self._shape, unloads=body.unloads))
        self.streams = body.stream is not False
        _, said = latest_question(turns)
        check_chars(said, gateway.max_content_chars, "messages")
        session_id, thread = await agent_session(gateway, post, "ollama")
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=turns,
            session_id=session_id,
            thread=thread,
            branch=branch_without_ids(turns),
            raw=isinstance(body, OllamaGenerateBody) and bool(body.raw),
            model=body.model or None,
            sampling=sampling,
        )
        return Asked(question, Ollama(self._model, self._shape))

    def whole(self, reply: StoredMessage, stream_id: str) -> Object:
        return answer_json(reply, self._model, self._shape)


def _read_chat(raw: bytes, max_bytes: int) -> tuple[OllamaBody, list[Turn], Sampling]:
    body = parse(raw, OllamaChatBody)
    return body, with_one_beginning(_turns(body.messages or (), max_bytes)), body.sampling(body.tools)


def _read_generate(raw: bytes, max_bytes: int) -> tuple[OllamaBody, list[Turn], Sampling]:
    body = parse(raw, OllamaGenerateBody)
    turns = [Turn("system", body.system)] if body.system else []
    turns.append(Turn("user", _content("images", body.prompt or "", body.images, max_bytes)))
    return body, turns, body.sampling()


def _turns(messages: Sequence[OllamaMessage], max_bytes: int) -> Iterator[Turn]:
    """Assigns ids to tool calls. Most have none: results name their tool, or follow in the calls' order."""
    open_calls: list[Object] = []
    for at, message in enumerate(messages):
        place = f"messages.{at}"
        content = _content(f"{place}.images", message.content or "", message.images, max_bytes)
        if message.role == "tool":
            call_id = _answered(open_calls, message) or message.tool_call_id or f"call_{at}"
            yield Turn("tool", content, tool_call_id=call_id, name=message.tool_name)
            continue
        calls = [
            _call(f"{place}.tool_calls.{number}", f"call_{at}_{number}", call)
            for number, call in enumerate(message.tool_calls or ())
        ]
        open_calls = list(calls)
        yield Turn(message.role, content, tool_calls=calls, reasoning_content=message.thinking or None)


def _answered(open_calls: list[Object], result: OllamaMessage) -> str | None:
    """Take the call that a tool's result answers, and return its id; None if no call is open."""
    named = [at for at, call in enumerate(open_calls) if call["id"] == result.tool_call_id]
    named += [at for at, call in enumerate(open_calls) if call["function"]["name"] == result.tool_name]
    return str(open_calls.pop(next(iter(named), 0))["id"]) if open_calls else None


def _call(place: str, id: str, call: Mapping[str, Any]) -> Object:
    match call:
        case {"function": {"name": str(name)} as function}:
            arguments = function.get("arguments")
        case _:
            raise misfit(place, "must have a function with a name")
    if not isinstance(arguments, dict | str | None):
        raise misfit(f"{place}.function.arguments", "must be an object")
    given = call.get("id")
    named = given if isinstance(given, str) and given else id
    return {"id": named, "type": "function", "function": {"name": name, "arguments": arguments_of(arguments)}}


def _content(place: str, text: str, images: Sequence[str] | None, max_bytes: int) -> Content:
    if not images:
        return text
    parts: list[ConvertedPart] = [({"type": "text", "text": text}, place)] if text else []
    for number, lines in enumerate(images):
        image = lines.replace("\n", "").replace("\r", "")  # Ollama ignores line breaks
        url = f"data:{_media_type(f'{place}.{number}', image)};base64,{image}"
        parts.append(({"type": "image_url", "image_url": {"url": url}}, f"{place}.{number}"))
    return read_converted(parts, place, max_bytes)


def _media_type(place: str, image: str) -> str:
    try:
        head = base64.b64decode(image[:32], validate=True)
    except (binascii.Error, ValueError):
        raise misfit(place, "must be the image itself in base64: no address is fetched") from None
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    raise misfit(place, "must be a PNG, JPEG, GIF or WebP image")


def _number(given: Object, name: str, kind: type[int] | type[float]) -> Any:
    value = given.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misfit(f"options.{name}", "must be a number")
    if kind is int:
        if value != int(value) or not -(2**63) <= value < 2**63:
            raise misfit(f"options.{name}", "must be a whole number")
        return int(value)
    return float(value)


def _stop(said: object) -> str | list[str] | None:
    if said is None or isinstance(said, str):
        return said
    if isinstance(said, list) and all(isinstance(word, str) for word in said):
        return said
    raise misfit("options.stop", "must be a string or a list of strings")


def _response_format(format: str | Mapping[str, Any] | None) -> Object | None:
    if format in (None, ""):
        return None
    if format == "json":
        return {"type": "json_object"}
    if isinstance(format, str):
        raise misfit("format", "must be 'json' or a JSON schema")
    return {"type": "json_schema", "json_schema": {"name": "format", "schema": dict(format)}}
