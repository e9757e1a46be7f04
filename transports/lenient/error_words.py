"""Reads model servers' errors of any shape: their message, and a conversation that is too long."""

import json
import re
from collections.abc import Iterator
from typing import Any

from gateway.contract.errors import ContextExceeded, GatewayError, UpstreamFailed
from gateway.contract.secrets import without_secrets
from transports.lenient.loose_json import mended

MAX_MESSAGE_CHARS = 500
MAX_SEARCHED_CHARS = 8_000
MAX_DEPTH = 8

_MESSAGES = (
    "message",
    "error",
    "errors",
    "detail",
    "msg",
    "error_message",
    "error_msg",
    "errorMessage",
    "errorMsg",
    "error_description",
    "exception",
    "reason",
    "base_resp",
    "status_msg",
)
_CODES = ("code", "type", "error_code", "status")
_NO_CODES = ("", "error", "failed")


def error_message(error: Any) -> str | None:
    """Return an error's message: text, `{"message"}`, `{"error": {...}}`, `{"detail": [{"msg"}]}`, a list."""
    return next(_messages(error, MAX_DEPTH), None)


def _messages(error: Any, depth: int) -> Iterator[str]:
    if isinstance(error, str) and error.strip():
        yield mended(without_secrets(error)[:MAX_MESSAGE_CHARS])
    elif depth and isinstance(error, dict):
        for key in _MESSAGES:
            yield from _messages(error.get(key), depth - 1)
    elif depth and isinstance(error, list):
        for item in error:
            yield from _messages(item, depth - 1)


def plain_words(body: bytes) -> str | None:
    """Return an error message that is plain text; None for HTML, JSON and other data."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return None
    return None if not text or _NO_WORDS.match(text) else text


_NO_WORDS = re.compile(r'[<{"]|\[(?![A-Z]+\])')  # but `[ERROR] out of memory` is plain text


def upstream_error(error: Any) -> GatewayError:
    """Return ContextExceeded or UpstreamFailed for an error that a model server sent after its 200."""
    message = error_message(error)
    if says_context_overflow(error):
        return ContextExceeded(message or "the conversation is too long for the model")
    if message is None:
        code = _code(error)
        how = "without saying why" if code is None else f"with code {code}"
        message = f"the model server failed {how}"
    return UpstreamFailed(message)


def _code(error: Any) -> str | None:
    while isinstance(error, dict):
        for key in _CODES:
            if isinstance(code := error.get(key), str | int) and str(code).lower() not in _NO_CODES:
                return mended(str(code)[:64])
        error = error.get("error")
    return None


def says_context_overflow(error: Any) -> bool:
    """True if the error means that the conversation has more tokens than the model's context.

    Servers have no common code for it, so the message decides. A limit of tokens per minute is not meant.
    """
    try:
        said = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str)
    except RecursionError:
        return False
    said = said[:MAX_SEARCHED_CHARS].lower()
    if _OVERFLOW_CODE.search(said):
        return True
    if _RATE_LIMIT.search(said):
        return False
    return bool(_OVERFLOW.search(said) or (_CONTEXT.search(said) and _PASSED.search(said)))


# OpenAI, Groq, vLLM; llama.cpp; others
_OVERFLOW_CODE = re.compile(
    r"context_length_exceeded|exceed_context_size|context_window_exceeded|context_length_error|context_overflow"
)
_RATE_LIMIT = re.compile(
    r"rate.?limit|please wait|per.?(second|minute|hour|day)\b|\btp[mds]\b|throttl|quota|too many requests"
)
# Names of the context's limit ...
_CONTEXT = re.compile(
    r"context[ _-]?(length|size|window|limit)|context the overflows|\bcontext overflow|\bn_ctx\b"
    r"|max(imum)?[ _]?(allowed )?(context|model|input|prompt|sequence|seq)[ _]?(len\b|length|tokens)"
    r"|model('s)? (input length|token) limit|max_(num|new|total|input)_tokens|max_input_length"
)
# ... and words for exceeding it.
_PASSED = re.compile(
    r"exceed|overflow|surpass|(longer|greater|larger|more|bigger) than|too (long|large|big|many)|must be <="
    r"|>=|(length|size) (is|of) (only )?[\d,]+ tokens|reached|reduce|shorten|out of|does not fit|not fit"
    r"|request contains|resulted in over"
)
# Phrases that are enough alone.
_OVERFLOW = re.compile(
    r"(prompt|input|conversation|context|request) (is |was )?too long"  # Anthropic, Bedrock, Ollama, Atlas
    r"|(prompt|input) \([^)]{0,40}\) (is )?too long|(prompt|input) exceeds (the )?max"
    r"|tokens in the (prompt|input)[^.]{0,20} exceed|(prompt|input) tokens? limit exceeded"
    r"|(prompt|input)[^.]{0,40}must have less than [\d,]+ tokens"  # TGI
    r"|(prompt|input|token)[^.]{0,20} (length|count)[^.]{0,60}(exceed|longer than|greater than|larger than)"
    r"|length of the (messages|prompt|input|conversation)[^.]{0,40}(exceed|too long)"
    r"|reduce the length of the (messages|prompt|input|conversation)"  # Groq, Cerebras, OpenAI
    r"|too many tokens|token limit exceeded|exceeded (the )?model token limit"  # Cohere, Kimi
    r"|tokens? *> *[\d,]+ *(maximum|limit)"
    r"|range of input length should be"  # DashScope
)
