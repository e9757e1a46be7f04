"""Repairs workers' frames that strict decoding refuses only because of side fields."""

from typing import Any

from gateway.contract.events import token_count, usage_of
from transports.lenient.error_words import error_message
from transports.lenient.loose_json import arguments_text, decode_loosely, mended

_TOLD_ANYWAY = ("text",)
"""Fields in which Attempt joins the halves of characters."""


def loosened(payload: bytes) -> Any:
    """Return the frame without unusable counts, usage and reasons, and with a tool call's fields as text.

    Whole numbers may be written as floats.

    Texts may contain halves of surrogate pairs. The caller must decode the result again, since it may still
    be no frame. Raises ValueError if the payload is not JSON.
    """
    said = decode_loosely(payload)
    if not isinstance(said, dict):
        return said
    frame = {key: value if key in _TOLD_ANYWAY else _whole(_mended(value)) for key, value in said.items()}
    match frame.get("type"):
        case "accept":
            _keep_counts(frame, "queue", "epoch")
        case "progress":
            _keep_counts(frame, "position", "processed", "total")
        case "end" | "reply":
            _loosen_end(frame)
        case "vectors":
            _loosen_vectors(frame)
        case "tool_call":
            _loosen_call(frame)
        case "error":
            _loosen_error(frame)
    return frame


def _keep_counts(frame: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if (count := token_count(frame.pop(key, None))) is not None:
            frame[key] = count


def _loosen_end(frame: dict[str, Any]) -> None:
    tokens = frame.pop("usage", None)
    if isinstance(tokens, dict):
        names = ("prompt_tokens", "completion_tokens", "total_tokens", "tokens_per_s")
        if (usage := usage_of(*(tokens.get(name) for name in names))) is not None:
            frame["usage"] = {name: getattr(usage, name) for name in names}
    if not isinstance(frame.get("reason"), str):
        frame.pop("reason", None)


def _loosen_vectors(frame: dict[str, Any]) -> None:
    tokens = frame.pop("usage", None)
    if isinstance(tokens, dict) and (count := token_count(tokens.get("prompt_tokens"))) is not None:
        frame["usage"] = {"prompt_tokens": count}


def _loosen_call(frame: dict[str, Any]) -> None:
    call = frame.get("call")
    if isinstance(call, dict):
        call_id = call.get("id")
        frame["call"] = {
            "id": str(call_id) if isinstance(call_id, str | int) else "",
            "name": call.get("name"),
            "arguments": arguments_text(call.get("arguments")),
        }


def _loosen_error(frame: dict[str, Any]) -> None:
    code, message = frame.get("code"), frame.get("message")
    if not isinstance(code, str):
        frame.pop("code", None)
    if not isinstance(message, str):
        frame["message"] = error_message(message) or error_message(frame) or ""
    if not isinstance(frame.get("retryable"), bool):
        frame.pop("retryable", None)
    _keep_counts(frame, "broke_off")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, dict):
        return {key: _mended(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
