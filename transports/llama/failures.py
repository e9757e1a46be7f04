"""Translates all failures of a model server into the gateway's errors."""

import re
from types import TracebackType
from typing import Any

import httpx

from gateway.contract.errors import (
    ContextExceeded,
    GatewayError,
    Loading,
    ModelRefused,
    Overloaded,
    ProtocolViolation,
    TimedOut,
    TransportError,
    Unreachable,
    UpstreamFailed,
)
from transports.lenient.error_words import error_message, plain_words, says_context_overflow
from transports.lenient.loose_json import decode_loosely

_SECONDS = re.compile("[0-9]{1,9}")

_ABOUT_THE_REQUEST = re.compile(
    r"\[json\.exception\.(?!type_error\.316)|Jinja Exception|Failed to parse (?:messages|tools|tool call)"
    r"|Unknown reasoning format"
)
"""Parts of llama.cpp's messages that go with status 500 although the request is at fault: its tool calls
cannot be read, or the model's template refuses its conversation. Images are asked for elsewhere (/props).
Exception 316 is about text that the server writes: requests are valid UTF-8."""


ANSWERED = frozenset((200, 201, 202, 203))
"""Statuses with an answer in the body; 201 is what some frameworks answer to every POST."""


class ForeignErrors:
    """Context manager that turns httpx's errors into GatewayErrors, with the original as `__cause__`.

    A connection that breaks or falls silent after the request was sent counts as `broke_off`.
    """

    __slots__ = ("_answered",)

    def __init__(self, *, answered: bool) -> None:
        self._answered = answered

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(exc, httpx.RequestError) and (ours := self._translated(exc)) is not None:
            raise ours from exc

    def _translated(self, exc: httpx.RequestError) -> TransportError | None:
        match exc:
            case (
                httpx.ConnectError()
                | httpx.ConnectTimeout()
                | httpx.ProxyError()
                | httpx.UnsupportedProtocol()
            ):
                return Unreachable("the model server cannot be reached")
            case httpx.PoolTimeout():
                return Overloaded(
                    "this process has too many files open for one more connection to the model server; raise "
                    "its limit (LimitNOFILE= or ulimit -n)"
                )
            case httpx.WriteTimeout():
                return TimedOut("the model server did not take the request within LLM_IDLE_S")
            case httpx.WriteError() if not self._answered:
                return Unreachable("the model server hung up before it had the whole request")
            case httpx.TimeoutException():
                return broke_off(TimedOut("the model server was silent for longer than LLM_IDLE_S"))
            case httpx.NetworkError() if self._answered:
                return broke_off(
                    UpstreamFailed("the connection to the model server broke in the middle of the reply")
                )
            case httpx.NetworkError():
                return broke_off(UpstreamFailed("the model server hung up before it answered"))
            case httpx.ProtocolError() | httpx.DecodingError() | httpx.TooManyRedirects():
                return ProtocolViolation("the model server's answer is not the HTTP that was expected")
            case _:
                return None


def broke_off(error: TransportError) -> TransportError:
    """Mark the error: the server had received the whole request."""
    error.broke_off = 1
    return error


before_answer = ForeignErrors(answered=False)
in_answer = ForeignErrors(answered=True)


def refusal(status: int, retry_after: str | None, body: bytes) -> GatewayError:
    """Return the error for a status outside of ANSWERED. retry_after: that header. body: or a part."""
    try:
        error = decode_loosely(body)
    except ValueError:
        error = plain_words(body)
    said = error_message(error)
    retry_after_s = float(retry_after) if retry_after and _SECONDS.fullmatch(retry_after) else None
    if status in (401, 403):
        return UpstreamFailed("the model server does not accept the gateway's API key")
    if status == 408:
        return TimedOut(said or "the model server gave the request up as too slow")
    if status == 504:  # from a proxy: the server behind it fell silent
        return broke_off(TimedOut(said or "the model server gave the request up as too slow"))
    if status == 502:  # from a proxy: the server behind it broke off
        return broke_off(UpstreamFailed(said or f"the model server answered with status {status}"))
    if status == 429:
        return Overloaded(said or "the model server takes no more requests", retry_after_s=retry_after_s)
    if status == 503 and _kind(error) == "unavailable_error":  # from llama.cpp, until its model is loaded
        return Loading(said or "the model is still being loaded", retry_after_s=retry_after_s)
    if status in (503, 529):  # 529: Anthropic's
        return Overloaded(said or "the model server is not available", retry_after_s=retry_after_s)
    if says_context_overflow(error):
        return ContextExceeded(said or "the conversation is too long for the model")
    if 400 <= status < 500 or (status == 500 and _ABOUT_THE_REQUEST.search(said or "")):
        return ModelRefused(said or f"the model server refused the request with status {status}")
    return UpstreamFailed(said or f"the model server answered with status {status}")


def _kind(error: Any) -> Any:
    inner = error.get("error") if isinstance(error, dict) else None
    return inner.get("type") if isinstance(inner, dict) else None


def health_problem(status: int) -> str | None:
    """Return the problem that a health check's status means; None for 200."""
    match status:
        case 200:
            return None
        case 401 | 403:
            return "the model server does not accept the gateway's API key: correct LLM_API_KEY"
        case 404:
            return "no model server is at this address: it answers 404 to /health and to /v1/models"
        case 503:
            return "the model server is still loading its model"
        case _:
            return f"the model server answered its health check with status {status}"
