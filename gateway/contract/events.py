"""Events of a reply: those that a transport sends, and those that a reader receives.

A transport pushes any number of Delta, Reasoning, ToolCall, Progress and Usage, then returns one Done; errors
are raised. A reader receives Started, then the same events without Usage, then exactly one of Finished,
Cancelled and Failed.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from gateway.contract.errors import ErrorReason, UpstreamFailed

Granularity = Literal["token", "message"]
Delivery = Literal["token", "chunked", "cached"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
CancelReason = Literal["user_stop", "abandoned"]
Reason = FinishReason | CancelReason | ErrorReason
Status = Literal["streaming", "complete", "cancelled", "failed", "interrupted"]

FINISH_REASONS: frozenset[str] = frozenset({"stop", "length", "tool_calls", "content_filter"})

BROKEN_REASONS = frozenset(
    {
        "error",
        "failed",
        "abort",
        "aborted",
        "insufficient_system_resource",
        "network_error",
        "timeout",
        "cancelled",
    }
)
"""Finish reasons with which a model server reports its own failure; the last are DeepSeek's, Zhipu's and
TensorRT-LLM's."""

_OTHER_NAMES: dict[str, FinishReason] = {
    "max_tokens": "length",  # Anthropic, Gemini
    "model_length": "length",  # Mistral
    "max_output_tokens": "length",
    "max_length": "length",
    "model_context_window_exceeded": "length",  # Anthropic, Zhipu
    "safety": "content_filter",  # Gemini, and the next four
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "content_filtered": "content_filter",  # Bedrock
    "guardrail_intervened": "content_filter",  # Bedrock
    "refusal": "content_filter",  # Anthropic
    "sensitive": "content_filter",  # Zhipu
}

MAX_TOKENS = 10**9
"""Maximum plausible token count. A larger one is a server's error and is dropped: sums could overflow."""


def finish_reason(said: object, *, called: bool = False) -> FinishReason:
    """Translate a model server's finish reason; an unknown one becomes `stop`. Raises UpstreamFailed for
    BROKEN_REASONS.

    called: True if the reply contains tool calls; then `stop` becomes `tool_calls`.
    """
    # Gemini: `content_filter: WHY`
    word = said.strip().lower().partition(":")[0] if isinstance(said, str) else ""
    if word in BROKEN_REASONS:
        raise UpstreamFailed(f"the model server ended the reply with finish reason '{word}'")
    word = _OTHER_NAMES.get(word, word)
    if word not in FINISH_REASONS or word == "stop":
        return "tool_calls" if called else "stop"
    return word  # type: ignore[return-value]


MAX_REPLY_CHARS = 16_000_000
"""Maximum of a reply's text, reasoning and tool calls together; a longer reply fails as `upstream_error`."""
TOOL_CALL_CHARS = 100
"""Characters that each tool call adds to the sum besides its texts, so that empty calls are bounded too."""


class Delta(Struct, frozen=True):
    """The next piece of the reply's text; never empty, and never half of a surrogate pair."""

    text: str


class Reasoning(Struct, frozen=True):
    """The next piece of the model's reasoning; never empty. It is not part of the reply's text."""

    text: str


class ToolCall(Struct, frozen=True):
    """One whole tool call.

    Attributes:
        id: unique within the reply.
        arguments: JSON text as the model wrote it, possibly invalid; `{}` if it wrote none.
    """

    id: str
    name: str
    arguments: str


class Progress(Struct, frozen=True):
    """Progress before the first token: phase "queued" with `position` (1 is next), or phase "prompt" with the
    number of prompt tokens `processed` and in `total`."""

    phase: Literal["queued", "prompt"]
    position: int | None = None
    processed: int | None = None
    total: int | None = None


class Usage(Struct, frozen=True):
    """Token counts and generation speed as the model server reports them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    tokens_per_s: float | None = None


def token_count(said: object) -> int | None:
    """Return an integer from 0 to MAX_TOKENS, also from a float without fraction; None for anything else."""
    if type(said) is float and said.is_integer():
        said = int(said)
    return said if type(said) is int and 0 <= said <= MAX_TOKENS else None


def usage_of(
    prompt_tokens: object, completion_tokens: object, total_tokens: object = None, tokens_per_s: object = None
) -> Usage | None:
    """Return Usage from unchecked values; None unless the prompt and completion counts are both valid.

    An invalid total, or one below the sum of its parts, becomes that sum. An invalid rate becomes None.
    """
    prompt, completion = token_count(prompt_tokens), token_count(completion_tokens)
    if prompt is None or completion is None:
        return None
    total = max(token_count(total_tokens) or 0, prompt + completion)
    return Usage(prompt, completion, total, usable_rate(tokens_per_s))


def usable_rate(said: object) -> float | None:
    """A finite number from 0 to MAX_TOKENS; None for anything else."""
    if (type(said) is float or type(said) is int) and 0 <= said <= MAX_TOKENS:
        return said
    return None


TransportEvent = Delta | Reasoning | ToolCall | Progress | Usage


class Done(Struct, frozen=True):
    """The reply is complete.

    Args:
        reason: the finish reason.
        model: the model that answered; None if unknown.
        whole: the events of a reply that arrived in one piece, its text as one Delta; they were not pushed
            before. None if the events were pushed as they arrived.
        cached: True if the reply comes from the response cache; it is sent without pacing.
        continued: lengths of the text at which another server or worker went on, after a failure.
    """

    reason: FinishReason
    model: str | None = None
    whole: Sequence[TransportEvent] | None = None
    cached: bool = False
    continued: tuple[int, ...] = ()

    @property
    def granularity(self) -> Granularity:
        """ "message" for a reply in one piece, else "token"."""
        return "token" if self.whole is None else "message"


class Started(Struct, frozen=True):
    """The question is stored and the reply has begun.

    Attributes:
        mode: name of the transport that is expected to answer; the terminal event has the one that did.
        delivery: the expected delivery, like `mode`.
        opens_session: True if the session was created for this question.
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


class Ending(Struct, frozen=True):
    """Fields of every terminal event: ids of the stored message, its text, and measurements of the reply.

    continued: lengths of the text at which another server or worker went on, after a failure.
    """

    assistant_message_id: int
    full_content: str
    mode: str
    delivery: Delivery
    model: str | None
    usage: Usage | None
    ttft_ms: float | None
    tokens_per_s: float | None
    assistant_message_uuid: str = ""
    continued: tuple[int, ...] = ()


class Finished(Struct, frozen=True):
    """The reply is complete."""

    reason: Reason
    ending: Ending


class Cancelled(Struct, frozen=True):
    """A client stopped the reply, or its last reader left."""

    reason: Reason
    ending: Ending


class Failed(Struct, frozen=True):
    """The reply failed; its text up to then is stored."""

    reason: Reason
    code: str
    message: str
    retryable: bool
    ending: Ending


Terminal = Finished | Cancelled | Failed
ReaderEvent = Started | Delta | Reasoning | ToolCall | Progress | Terminal
