"""Decodes one frame of a model server, a chat completion chunk: strictly, or loosely if it is malformed."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract.events import Progress, token_count
from transports.lenient.error_words import error_message, upstream_error
from transports.llama.sse_framer import ErrorData
from transports.llama.words import HEARTBEATS, word_in


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class CallPart(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    name: str | None = None  # Cloudflare, which has no `function`
    arguments: str | None = None


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


decode_strictly = msgspec.json.Decoder(Chunk).decode


def raise_error(said: Any, frame: bytes) -> None:
    """Raise the error in a frame, if it contains one. said: the frame's JSON."""
    if isinstance(frame, ErrorData):
        raise upstream_error(said)
    if (error := error_in(said)) is not None:
        raise upstream_error(error)


def is_mere_usage(chunk: Chunk, frame: bytes) -> bool:
    """Return whether a chunk has usage and surely no error, so that its frame need not be decoded again.

    A frame in which error_in finds an error although it has usage contains one of the marks.
    """
    # `in` would make and drop an exception for each mark: bytes can also contain numbers.
    return (
        chunk.usage is not None
        and type(frame) is bytes
        and frame.find(b"error") < 0
        and frame.find(b"base_resp") < 0
        and frame.find(b"\\") < 0
    )


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
    if has_choices or word_in(str(said.get("type")).encode(errors="replace")) in HEARTBEATS:
        return None
    if mapping(said.get("base_resp")).get("status_code"):  # MiniMax
        return said
    states = {state.lower() for key in _STATES if isinstance(state := said.get(key), str)}
    if states & _FAILED or any(said.get(key) is False for key in ("success", "ok")):
        return said
    if said.get("error_code"):  # FastChat
        return {"message": said.get("text"), **said}
    if any(said.get(key) in (0, 200) for key in ("code", "status")):  # beside a message such as "success"
        return None
    if "usage" in said or str(said.get("object")).startswith("chat.completion"):
        return None
    # Without these fields it is no error: `{"status": ..., "reason": ...}` may be a heartbeat.
    return said if error_message({key: said.get(key) for key in _ERROR_KEYS}) is not None else None


_ERROR_KEYS = (
    "message",
    "detail",
    "msg",
    "error_message",
    "error_msg",
    "errorMessage",  # AWS Lambda
    "errorMsg",
    "error_description",
    "exception",
)
_STATES = ("object", "type", "status", "event")
_FAILED = {"error", "failed"}


def mapping(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}
