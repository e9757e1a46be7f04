"""Reads chunks that strict decoding refuses, and the rare fields of those that it takes."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.contract.errors import GatewayError, ProtocolViolation
from gateway.contract.events import token_count
from transports.lenient.error_words import error_message, upstream_error
from transports.lenient.loose_json import arguments_text, mended, peek
from transports.llama.chunks import (
    CallPart,
    Choice,
    Chunk,
    Function,
    Groq,
    Message,
    PromptProgress,
    Timings,
    TokenUsage,
    mapping,
)


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
    usage, timings, progress = (mapping(said.get(key)) for key in ("usage", "timings", "prompt_progress"))
    groq = mapping(said.get("x_groq"))
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
        x_groq=Groq(_usage(mapping(groq.get("usage"))), error_message(groq.get("error"))),
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
    choices = mapping(peek(frame)).get("choices")
    if isinstance(choices, dict):
        choices = [choices]
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


_RARE_FIELD = re.compile(rb'"(?:refusal|function_call|text|error|thinking|reasoning_text|reasoning_details)"')
_RARE_REASONING = ("thinking", "reasoning_text", "reasoning_details")


def rare_message(frame: bytes) -> Message | None:
    """Return the message of a choice that has no content but other fields. Raises the error in it.

    `refusal` is OpenAI's and `function_call` was, `text` is the completions API's, `error` and
    `reasoning_details` are OpenRouter's, `reasoning_text` is GitHub Copilot's.
    """
    if _RARE_FIELD.search(frame) is None:
        return None
    for choice in _choices_in(frame):
        if not _index(choice.get("index")):
            message = mapping(choice.get("delta") or choice.get("message"))
            if error := choice.get("error") or message.get("error"):
                raise upstream_error(error)
            function = _function(message.get("function_call"))
            return Message(
                content=_texts(message.get("refusal") or choice.get("text"))[0] or None,
                reasoning=next(
                    filter(None, ("".join(_texts(message.get(key))) for key in _RARE_REASONING)), None
                ),
                tool_calls=None if function is None else [CallPart(0, None, function)],
            )
    return None


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
        usage=_usage(mapping(said.get("usage"))),
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
    function = _function(said.get("function")) or _function(said)
    return CallPart(_index(said.get("index")), _name(said.get("id")), function)


def _function(said: Any) -> Function | None:
    if not isinstance(said, dict):
        return None
    return Function(_name(said.get("name")), arguments_text(said.get("arguments")))
