"""What a transport says while a reply is made, and what a reader of that reply hears.

A transport pushes Delta, Reasoning, ToolCall, Progress and Usage in any number and returns one Done; trouble
is raised. A reader hears Started, then the same without Usage, and then exactly one of Finished, Cancelled
and Failed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.contract.errors import ErrorReason, UpstreamFailed

Granularity = Literal["token", "message"]
Delivery = Literal["token", "chunked", "cached"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
CancelReason = Literal["user_stop", "abandoned"]
Reason = FinishReason | CancelReason | ErrorReason
Status = Literal["streaming", "complete", "cancelled", "failed", "interrupted"]

FINISH_REASONS: frozenset[str] = frozenset({"stop", "length", "tool_calls", "content_filter"})

BROKEN_REASONS = frozenset({"error", "abort", "aborted", "insufficient_system_resource"})
"""Finish reasons of a reply that its server gave up; the last one is DeepSeek's."""

MAX_TOKENS = 10**9
"""A larger count is an error of its server and is dropped: sums of such counts overflow a database."""


def finish_reason(said: object, *, called: bool = False) -> FinishReason:
    """The model server's finish reason as one of ours; a word that is not listed is `stop`.

    called: the reply holds tool calls, after which `stop` means `tool_calls`. Raises UpstreamFailed for
    BROKEN_REASONS.
    """
    word = said.lower().partition(":")[0] if isinstance(said, str) else ""  # Gemini: `content_filter: WHY`
    if word in BROKEN_REASONS:
        raise UpstreamFailed(f"the model server ended the reply with finish reason '{word}'")
    if word not in FINISH_REASONS or word == "stop":
        return "tool_calls" if called else "stop"
    return word  # type: ignore[return-value]


MAX_REPLY_CHARS = 16_000_000
"""Of a reply's text, reasoning and tool calls together; a longer one fails as `upstream_error`."""
TOOL_CALL_CHARS = 100
"""Characters that a tool call counts in addition to its texts, so that empty ones are bounded too."""


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the reply's text; never empty, and never half of a surrogate pair."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of what the model thinks before it answers; never empty, not part of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One whole tool call.

    id: unlike that of every other call of the reply. arguments: JSON text as the model wrote it, which may be
    broken JSON; `{}` where it wrote none.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Why nothing is seen yet: phase "queued" with a position (1 is next), or "prompt" with token counts."""

    phase: Literal["queued", "prompt"]
    position: int | None = None
    processed: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model server counted them; tokens_per_s as it measured its own generation, if it did."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    tokens_per_s: float | None = None


def token_count(said: object) -> int | None:
    """A whole number from 0 to MAX_TOKENS, also as a float without a fraction; None for anything else."""
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MAX_TOKENS:
        return said
    return None


def usage_of(
    prompt_tokens: object, completion_tokens: object, total_tokens: object = None, tokens_per_s: object = None
) -> Usage | None:
    """Usage from what a server or a worker claims; None unless it tells both prompt and completion.

    A total that is not usable, or less than its parts, is their sum. A rate that is not usable is left out.
    """
    prompt, completion = token_count(prompt_tokens), token_count(completion_tokens)
    if prompt is None or completion is None:
        return None
    total = max(token_count(total_tokens) or 0, prompt + completion)
    return Usage(prompt, completion, total, usable_rate(tokens_per_s))


def usable_rate(said: object) -> float | None:
    """A finite number from 0 to MAX_TOKENS; None for anything else."""
    if isinstance(said, int | float) and said is not True and math.isfinite(said) and 0 <= said <= MAX_TOKENS:
        return said
    return None


TransportEvent = Delta | Reasoning | ToolCall | Progress | Usage


@dataclass(frozen=True, slots=True)
class Done:
    """The reply is complete.

    Args:
        reason: why the model stopped.
        model: the model that answered; None if unknown.
        whole: the events of a reply that arrived in one piece, its text as one Delta; they were not pushed
            before. None if the reply was pushed as the model made it.
        cached: the reply is an earlier one, which is shown at once.
    """

    reason: FinishReason
    model: str | None = None
    whole: Sequence[TransportEvent] | None = None
    cached: bool = False

    @property
    def granularity(self) -> Granularity:
        """ "message" for a reply in one piece, else "token"."""
        return "token" if self.whole is None else "message"


@dataclass(frozen=True, slots=True)
class Started:
    """The question is saved and the reply has begun.

    mode, delivery: what is expected. opens_session: the session was made for this question.
    """

    stream_id: str
    session_id: int
    session_key: str
    user_message_id: int
    assistant_message_id: int
    mode: str
    delivery: Delivery
    resume_url: str | None = None
    session_uuid: str = ""
    opens_session: bool = False
    assistant_message_uuid: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """What every end tells: the row it is kept in, the text that was kept, and what was true of the reply."""

    assistant_message_id: int
    full_content: str
    mode: str
    delivery: Delivery
    model: str | None
    usage: Usage | None
    ttft_ms: float | None
    tokens_per_s: float | None
    assistant_message_uuid: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The model came to its end."""

    reason: Reason
    ending: Ending


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody stopped it, or nobody was left to read it."""

    reason: Reason
    ending: Ending


@dataclass(frozen=True, slots=True)
class Failed:
    """It broke; what was said before that is kept."""

    reason: Reason
    code: str
    message: str
    retryable: bool
    ending: Ending


Terminal = Finished | Cancelled | Failed
ReaderEvent = Started | Delta | Reasoning | ToolCall | Progress | Terminal
