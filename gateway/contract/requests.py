"""What a transport is asked: one reply to a conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.contract.content import Content, model_json

CacheUse = Literal["use", "refresh", "off"]
"""A cached reply may answer; a new one is made and kept; nothing is read or kept."""

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation.

    tool_calls: what an assistant asked for, as the OpenAI chat API writes it
    (`{"id", "type": "function", "function": {"name", "arguments"}}`); tool_call_id: which of them
    a `tool` turn answers. reasoning_content: what the model thought before an earlier answer; thinking models
    need it between the rounds of a tool call.
    """

    role: Role
    content: Content
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The turn as OpenAI's chat API and Sluice's MQTT protocol write it; absent fields are left out."""
        message: dict[str, Any] = {"role": self.role, "content": model_json(self.content)}
        if self.tool_calls:
            message["tool_calls"] = list(self.tool_calls)
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        if self.name is not None:
            message["name"] = self.name
        if self.reasoning_content is not None:
            message["reasoning_content"] = self.reasoning_content
        return message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model is to choose; None leaves it to the model server.

    options: the model server's own settings, passed through as they are (`top_k`, `grammar`, ...).
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: str | Sequence[str] | None = None
    seed: int | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def over(self, defaults: "Sampling") -> "Sampling":
        """These settings, and where they leave something open, those."""
        given = defaults.as_json() | self.as_json()
        given["options"] = {**defaults.options, **self.options}
        return Sampling(**given)

    def as_json(self) -> dict[str, Any]:
        """The settings that were given, by their names in OpenAI's chat API; `options` stays one object."""
        given: dict[str, Any] = {}
        for name in _SAMPLING_FIELDS:
            value = getattr(self, name)
            if value is not None:
                given[name] = value
        if self.options:
            given["options"] = dict(self.options)
        return given


_SAMPLING_FIELDS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One attempt to get one reply.

    id: 32 hex digits, unguessable; the stream's id. model: None or a name no transport lists means the
    default model. deadline_s: seconds the whole reply may take. session: the session's key, for a
    worker's log and cache, never a credential. trace: a W3C `traceparent`. broke_off: how many servers
    took this request and then broke off; see `suspects.ask_again`. user: the user's id, for stages; None
    behind a broker. cache: see CacheUse.
    """

    id: str
    turns: Sequence[Turn]
    sampling: Sampling = field(default_factory=Sampling)
    model: str | None = None
    deadline_s: float = 120.0
    session: str | None = None
    trace: str | None = None
    broke_off: int = 0
    user: str | None = None
    cache: CacheUse = "use"
