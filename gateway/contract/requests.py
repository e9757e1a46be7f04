"""The request to a transport for one reply to a conversation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from gateway.contract.content import Content, model_json
from gateway.contract.reattach import Reattachable

CacheUse = Literal["use", "refresh", "off"]
"""Use of the response cache: "use" reads and writes it, "refresh" only writes, "off" does neither."""

Role = Literal["system", "user", "assistant", "tool"]


class Turn(Struct, frozen=True):
    """One message of a conversation.

    Attributes:
        role: of the author.
        content: text or parts.
        tool_calls: the tool calls of an assistant turn, in the form of OpenAI's chat API:
            `{"id", "type": "function", "function": {"name", "arguments"}}`.
        tool_call_id: id of the tool call that a `tool` turn answers.
        name: name of the author, in the form of OpenAI's chat API.
        reasoning_content: the model's reasoning before an earlier reply; some models need it between the
            rounds of a tool call.
    """

    role: Role
    content: Content
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the turn for OpenAI's chat API and Sluice's MQTT protocol, without absent fields."""
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


class Sampling(Struct, frozen=True):
    """Settings of generation; None leaves the choice to the model server.

    options: settings specific to the model server, passed on unchanged (`top_k`, `grammar`, ...).
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
        """Return these settings, with `defaults` for those that are None or absent from `options`."""
        given = defaults.as_json() | self.as_json()
        given["options"] = {**defaults.options, **self.options}
        return Sampling(**given)

    def as_json(self) -> dict[str, Any]:
        """Return the settings that are not None, by their names in OpenAI's chat API, and `options` as one
        object."""
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


class ChatRequest(Struct, frozen=True):
    """One attempt to get one reply.

    Attributes:
        id: the stream's id: 32 random hex digits.
        turns: the conversation; the last turn is the question.
        sampling: settings of generation.
        model: None, or a name that no transport lists, means the default model.
        deadline_s: maximum seconds for the whole reply.
        session: the session's key, for a worker's log and cache; never a credential.
        trace: a W3C `traceparent`.
        broke_off: servers that received this request and then disconnected (crashing_requests.py).
        user: the user's id, for stages; None in a worker.
        cache: see CacheUse.
        raw: True if the model continues the text of the only turn as it is, without a chat template.
        continue_on_failure: True if another server or worker continues the text after a failure in its
            middle; None for the setting CONTINUE_ON_FAILURE.
        is_stored: True if the turns are a session's stored messages, of which the oldest may be left out.
        reattachable: set if another gateway may continue to receive the reply; None if the reply ends with
            this gateway.
        other_answers: returns True if another transport would get the request after a failure: then a
            transport does not wait for servers or workers that are away.
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
    raw: bool = False
    continue_on_failure: bool | None = None
    is_stored: bool = False
    reattachable: Reattachable | None = None
    other_answers: Callable[[], bool] = lambda: False
