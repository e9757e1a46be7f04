"""Decodes one frame of a model server, a chat completion chunk: strictly, or loosely if it is malformed."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract.errors import GatewayError, ProtocolViolation
from gateway.contract.events import Progress, token_count
from transports.lenient.error_words import error_message, upstream_error
from transports.lenient.loose_json import arguments_text, mended, peek
from transports.llama.sse_framer import ErrorData


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class CallPart(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None  # llama.cpp, DeepSeek
    reasoning: str | None = None  # vLLM, OpenRouter
    tool_calls: list[CallPart] | None = None

    @property
    def says_something(self) -> bool:
        return bool(self.content or self.reasoning_content or self.reasoning or self.tool_calls)


class TokenUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None  # Moonshot


class Timings(msgspec.Struct, gc=False):
    cache_n: int | None = 0
    prompt_n: int | None = None
    predicted_n: int | None = None
    predicted_per_second: float | None = None


class PromptProgress(msgspec.Struct, gc=False):
    processed: int | None = None
    total: int | None = None

    @property
    def events(self) -> Sequence[Progress]:
        """One event, or none if a count is missing."""
        processed, total = token_count(self.processed), token_count(self.total)
        if processed is None or total is None:
            return ()
        return (Progress("prompt", processed=processed, total=total),)


class Groq(msgspec.Struct, gc=False):
    """Groq's own fields. error: why it stopped the reply before its end."""

    usage: TokenUsage | None = None
    error: str | None = None

    def counts(self) -> TokenUsage | None:
        if self.error:
            raise upstream_error(self.error)
        return self.usage


class Chunk(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    model: str | None = None
    usage: TokenUsage | None = None
    timings: Timings | None = None
    prompt_progress: PromptProgress | None = None
    x_groq: Groq | None = None
    error: Any = None


NOTHING = frozenset((b"", b"none", b"undefined", b"null", b"ping", b"heartbeat", b"keepalive", b"keep-alive"))
"""Data that some servers send while they have no chunk, in lower case."""

decode_strictly = msgspec.json.Decoder(Chunk).decode


def raise_error(said: Any, frame: bytes) -> None:
    """Raise the error in a frame, if it contains one. said: the frame's JSON."""
    if isinstance(frame, ErrorData):
        raise upstream_error(said)
    if (error := error_in(said)) is not None:
        raise upstream_error(error)


def is_mere_usage(chunk: Chunk, frame: bytes) -> bool:
    """Return whether a chunk has usage and surely no error, so that its frame need not be decoded again."""
    return chunk.usage is not None and type(frame) is bytes and not _has_any(frame, _ERROR_MARKS)


_ERROR_MARKS = (b"error", b"base_resp", b"\\")
"""A frame in which error_in finds an error although it has usage contains one of these."""


def _has_any(frame: bytes, marks: Sequence[bytes]) -> bool:
    # `in` would make and drop an exception for each mark: bytes can also contain numbers.
    return any(frame.find(mark) >= 0 for mark in marks)


def error_in(said: Any) -> Any:
    """Return the error in a frame that is not a chunk; None if there is none."""
    if isinstance(said, list):  # Gemini
        return next((error for item in said if (error := error_in(item)) is not None), None)
    if not isinstance(said, dict):
        return None
    has_choices = bool(said.get("choices"))
    for key in ("error", "errors"):
        error = said.get(key)
        if error or (isinstance(error, dict | list) and not has_choices):
            return said
    if has_choices:
        return None
    if _mapping(said.get("base_resp")).get("status_code"):  # MiniMax
        return said
    if said.get("object") == "error" or said.get("type") == "error":
        return said
    if said.get("error_code"):  # FastChat
        return {"message": said.get("text"), **said}
    if "usage" in said or str(said.get("object")).startswith("chat.completion"):
        return None
    # Without these fields it is no error: `{"status": ..., "reason": ...}` may be a heartbeat.
    return said if error_message({key: said.get(key) for key in _ERROR_KEYS}) is not None else None


_ERROR_KEYS = ("message", "detail", "msg", "error_message", "error_msg")


def read_loosely(said: Any) -> Chunk:
    """Return a chunk from JSON that `decode_strictly` refuses. Unusable fields count as absent.

    Texts may contain halves of surrogate pairs. Raises ProtocolViolation if it is not a chunk.
    """
    if not isinstance(said, dict):
        raise ProtocolViolation("the model server sent JSON that is no chat completion")
    choices = said.get("choices") or None
    if isinstance(choices, dict):
        choices = [choices]
    if not isinstance(choices, list | None):
        raise ProtocolViolation("the model server sent JSON that is no chat completion: `choices` is no list")
    usage, timings, progress = (_mapping(said.get(key)) for key in ("usage", "timings", "prompt_progress"))
    groq = _mapping(said.get("x_groq"))
    return Chunk(
        choices=[_choice(choice) for choice in choices or () if isinstance(choice, dict)],
        model=_name(said.get("model")),
        usage=_usage(usage),
        timings=Timings(
            _count(timings, "cache_n") if "cache_n" in timings else 0,
            _count(timings, "prompt_n"),
            _count(timings, "predicted_n"),
            _rate(timings.get("predicted_per_second")),
        ),
        prompt_progress=PromptProgress(_count(progress, "processed"), _count(progress, "total")),
        x_groq=Groq(_usage(_mapping(groq.get("usage"))), error_message(groq.get("error"))),
        error=said.get("error"),
    )


def _usage(said: Mapping[str, Any]) -> TokenUsage:
    return TokenUsage(_count(said, "prompt_tokens"), _count(said, "completion_tokens"))


def why_broken(frame: bytes) -> GatewayError | None:
    """Return the error in a frame whose finish reason is in BROKEN_REASONS; None if there is none."""
    for choice in _choices_in(frame):
        for key in ("error", "finish_reason", "message"):
            if isinstance(choice.get(key), dict) and error_message(choice[key]) is not None:
                return upstream_error(choice[key])
    return None


def _choices_in(frame: bytes) -> list[Mapping[str, Any]]:
    choices = _mapping(peek(frame)).get("choices")
    if isinstance(choices, dict):
        choices = [choices]
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


_RARE_FIELDS = (b'"refusal"', b'"function_call"', b'"text"', b'"error"')


def rare_message(frame: bytes) -> Message | None:
    """Return the message of a choice that has no content but other fields. Raises the error in it.

    `refusal` is OpenAI's and `function_call` was, `text` is the completions API's, `error` OpenRouter's.
    """
    if not _has_any(frame, _RARE_FIELDS):
        return None
    for choice in _choices_in(frame):
        if not _index(choice.get("index")):
            message = _mapping(choice.get("delta") or choice.get("message"))
            if error := choice.get("error") or message.get("error"):
                raise upstream_error(error)
            function = _function(message.get("function_call"))
            return Message(
                content=_texts(message.get("refusal") or choice.get("text"))[0] or None,
                tool_calls=None if function is None else [CallPart(0, None, function)],
            )
    return None


def _mapping(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _count(said: Mapping[str, Any], key: str) -> int | None:
    return token_count(said.get(key))


def _rate(said: Any) -> float | None:
    return float(said) if isinstance(said, float) or token_count(said) is not None else None


def _name(said: Any) -> str | None:
    if isinstance(said, int) and not isinstance(said, bool):
        return str(said)
    return mended(said) if isinstance(said, str) else None


def _index(said: Any) -> int | None:
    if isinstance(said, str) and said.isascii() and said.isdecimal() and len(said) < 10:
        return int(said)
    return token_count(said)


def _choice(said: Mapping[str, Any]) -> Choice:
    reason = said.get("finish_reason")
    if isinstance(reason, dict):  # SGLang's own form
        reason = reason.get("type")
    return Choice(
        index=_index(said.get("index")) or 0,
        delta=_message(said.get("delta")),
        message=_message(said.get("message")),
        finish_reason=reason if isinstance(reason, str | None) else "stop" if reason else None,
        usage=_usage(_mapping(said.get("usage"))),
    )


def _message(said: Any) -> Message | None:
    if isinstance(said, str | list):
        said = {"content": said}
    if not isinstance(said, dict):
        return None
    content, thinking = _texts(said.get("content"))
    parts = said.get("tool_calls")
    if isinstance(parts, dict):
        parts = [parts]
    return Message(
        content=content or None,
        reasoning_content="".join(_texts(said.get("reasoning_content"))) or thinking or None,
        reasoning="".join(_texts(said.get("reasoning"))) or None,
        tool_calls=[_call_part(part) for part in parts if isinstance(part, dict)]
        if isinstance(parts, list)
        else None,
    )


def _texts(said: Any) -> tuple[str, str]:
    """Return text and reasoning of a content: a string, a part, or a list of them (Mistral)."""
    if isinstance(said, str):
        return said, ""
    if isinstance(said, list):
        texts, thinking = zip(*(_texts(part) for part in said), strict=True) if said else ((), ())
        return "".join(texts), "".join(thinking)
    if not isinstance(said, dict):
        return "", ""
    for key in ("thinking", "reasoning", "summary"):
        if key in said:
            return "", "".join(_texts(said[key]))
    text = _texts(said.get("text") or said.get("content") or said.get("refusal") or said.get("value"))
    return ("", "".join(text)) if said.get("type") in ("thinking", "reasoning") else text


def _call_part(said: Mapping[str, Any]) -> CallPart:
    return CallPart(_index(said.get("index")), _name(said.get("id")), _function(said.get("function")))


def _function(said: Any) -> Function | None:
    if not isinstance(said, dict):
        return None
    return Function(_name(said.get("name")), arguments_text(said.get("arguments")))
