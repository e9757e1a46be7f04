"""The JSON payloads of Sluice over MQTT, version 1."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from gateway.contract.content_parser import read_content
from gateway.contract.embeddings import EmbedRequest
from gateway.contract.events import Usage, usage_of
from gateway.contract.random_names import random_hex
from gateway.contract.reattach import Reattachable
from gateway.contract.requests import ChatRequest, Role, Sampling, Turn

VERSION: Literal[1] = 1
DEFAULT_MAX_PAYLOAD = 262_144

MAX_MODELS = 256
MAX_NAME_CHARS = 256
LARGEST = 2**53 - 1
"""Largest integer that all JSON readers decode exactly. Source: RFC 8259, 6."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
KindName = Annotated[str, msgspec.Meta(max_length=32)]
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]


_HEX = re.compile("[0-9a-f]{32}")


class Frame(msgspec.Struct, tag_field="type", gc=False):
    """Base of all payloads: an object with a `type`. Unknown fields are ignored."""


class Status(Frame, tag="status"):
    """Retained status of a worker, gateway or device. Absent fields promise nothing: see docs/mqtt.md.

    A gateway stores the latest of each worker, so its fields have limits.

    roll_call: by a gateway, a request to all workers for their statuses; by a worker, the answer to it.
    """

    state: Literal["ready", "draining", "lost"]
    v: Literal[1] = VERSION
    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    incarnation: Count = 0
    heartbeat_s: Seconds | None = None
    models: Annotated[list[ModelName], msgspec.Meta(max_length=MAX_MODELS)] = []
    stream: bool = False
    accept_s: Seconds | None = None
    max: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)] = 1
    busy: Count = 0
    accepts: Annotated[list[KindName], msgspec.Meta(max_length=16)] = []
    embeds: bool = False
    by_name: bool = False
    keep: bool = False
    roll_call: bool = False


class MessageField(msgspec.Struct, gc=False, omit_defaults=True):
    """One turn of a request; see Turn. content: text, or OpenAI's list of parts."""

    role: Role
    content: str | list[Any]
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None

    def as_turn(self) -> Turn:
        """Return the Turn. Raises Unprocessable for parts that cannot be used."""
        content = self.content
        return Turn(
            self.role,
            content if isinstance(content, str) else read_content(content, "content", LARGEST),
            self.tool_calls,
            self.tool_call_id,
            self.name,
            self.reasoning_content,
        )


class RequestFrame(Frame, tag="request"):
    id: Id
    reply_to: str
    messages: list[MessageField]
    v: Literal[1] = VERSION
    stream: bool = True
    deadline_s: Seconds = 120.0
    idle_s: Seconds = 30.0
    model: str | None = None
    params: Sampling = Sampling()
    session: str | None = None
    trace: str | None = None
    broke_off: Count = 0
    keep_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0

    def as_chat_request(self) -> ChatRequest:
        """Return the ChatRequest. Raises Unprocessable for parts that cannot be used."""
        return ChatRequest(
            id=self.id,
            turns=[message.as_turn() for message in self.messages],
            sampling=self.params,
            model=self.model,
            deadline_s=self.deadline_s,
            session=self.session,
            trace=self.trace,
            broke_off=self.broke_off,
            reattachable=self._reattachable(),
        )

    def _reattachable(self) -> Reattachable | None:
        """The model server keeps what the worker keeps, under the same id: so a later start can stop it."""
        if not self.keep_s:
            return None
        id = self.id if _HEX.fullmatch(self.id) else random_hex()
        return Reattachable(id, lambda _: None)


class EmbedFrame(Frame, tag="embed"):
    """A request for the vectors of texts, only to workers whose status has `embeds`."""

    id: Id
    reply_to: str
    input: Annotated[list[str], msgspec.Meta(min_length=1)]
    v: Literal[1] = VERSION
    deadline_s: Seconds = 120.0
    idle_s: Seconds = 30.0
    model: str | None = None
    dimensions: Count | None = None
    trace: str | None = None
    broke_off: Count = 0

    def as_embed_request(self) -> EmbedRequest:
        return EmbedRequest(
            self.input, self.model, self.dimensions, self.deadline_s, self.trace, self.broke_off
        )


class CancelFrame(Frame, tag="cancel"):
    """Stops a request. epoch: number of times that the reply was taken over; absent: 0."""

    id: Id
    reason: str = "stopped"
    epoch: Count | msgspec.UnsetType = msgspec.UNSET


class ResumeFrame(Frame, tag="resume"):
    """Asks for all frames of a kept reply again, and for those that follow.

    incarnation: of the gateway that asks; absent: 0, unknown.
    """

    id: Id
    reply_to: str
    epoch: Count = 0
    incarnation: Count = 0


class ForgetFrame(Frame, tag="forget"):
    """The end of a kept reply is stored: drop its frames."""

    id: Id
    epoch: Count = 0


class AcceptFrame(Frame, tag="accept"):
    """The request was taken. epoch: of the `resume` that this answers; absent: 0."""

    id: Id
    seq: Count = 0
    queue: Count = 0
    epoch: Count | msgspec.UnsetType = msgspec.UNSET


class ChunkFrame(Frame, tag="chunk"):
    id: Id
    seq: Count
    text: str


class ReasoningFrame(Frame, tag="reasoning"):
    id: Id
    seq: Count
    text: str


class CallField(msgspec.Struct, gc=False):
    id: str
    name: str
    arguments: str


class ToolCallFrame(Frame, tag="tool_call"):
    id: Id
    seq: Count
    call: CallField


class ProgressFrame(Frame, tag="progress", omit_defaults=True):
    id: Id
    seq: Count
    phase: Literal["queued", "prompt"]
    position: Count | None = None
    processed: Count | None = None
    total: Count | None = None


class AliveFrame(Frame, tag="alive"):
    id: Id
    seq: Count


class Tokens(msgspec.Struct, gc=False, omit_defaults=True):
    """Token counts as a worker reports them. Only complete ones become a Usage: no count is invented."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    tokens_per_s: float | None = None

    def as_usage(self) -> Usage | None:
        """Return the Usage; None unless prompt and completion are present and plausible."""
        return usage_of(self.prompt_tokens, self.completion_tokens, self.total_tokens, self.tokens_per_s)


class EndFrame(Frame, tag="end"):
    """The reply is complete. length: code points of all chunks' text together; absent: not checked."""

    id: Id
    seq: Count
    reason: str = "stop"
    usage: Tokens | msgspec.UnsetType | None = msgspec.UNSET
    length: Count | None = None


class Whole(Frame, tag="reply"):
    """The whole reply in one frame, which needs no other."""

    id: Id
    text: str
    reason: str = "stop"
    usage: Tokens | msgspec.UnsetType | None = msgspec.UNSET


class VectorsFrame(Frame, tag="vectors"):
    """The vectors of an `embed`, in the order of its texts. usage: only `prompt_tokens` is read."""

    id: Id
    vectors: list[list[float]]
    usage: Tokens | msgspec.UnsetType | None = msgspec.UNSET


class ErrorFrame(Frame, tag="error"):
    """The reply failed. broke_off: number of servers that took the request and then broke off."""

    id: Id
    code: str = "upstream_error"
    message: str = ""
    retryable: bool = False
    broke_off: Count | msgspec.UnsetType = msgspec.UNSET


Numbered = AcceptFrame | ChunkFrame | ReasoningFrame | ToolCallFrame | ProgressFrame | AliveFrame | EndFrame
ReplyFrame = Numbered | Whole | VectorsFrame | ErrorFrame
InboxFrame = RequestFrame | EmbedFrame | CancelFrame | ResumeFrame | ForgetFrame


def epoch_of(frame: CancelFrame | AcceptFrame) -> int:
    return 0 if frame.epoch is msgspec.UNSET else frame.epoch
