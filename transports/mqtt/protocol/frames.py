"""The JSON payloads of Sluice over MQTT, version 1, with their decoders and encoders."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec

from gateway.contract.content_form import read_content
from gateway.contract.errors import ProtocolViolation, Unprocessable
from gateway.contract.events import Usage, usage_of
from gateway.contract.requests import ChatRequest, Role, Sampling, Turn
from transports.mqtt.protocol.loose_frames import loosened

VERSION: Literal[1] = 1
DEFAULT_MAX_PAYLOAD = 262_144

MAX_MODELS = 256
LARGEST = 2**53 - 1
"""Largest integer that all JSON readers decode exactly. Source: RFC 8259, 6."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
KindName = Annotated[str, msgspec.Meta(max_length=32)]
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Frame(msgspec.Struct, tag_field="type", gc=False):
    """Base of all payloads: an object with a `type`. Unknown fields are ignored."""


class Status(Frame, tag="status"):
    """Retained status of a worker, gateway or device. Absent fields promise nothing: see docs/mqtt.md.

    A gateway stores the latest of each worker, so its fields have limits.
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
        )


class CancelFrame(Frame, tag="cancel"):
    id: Id
    reason: str = "stopped"


class AcceptFrame(Frame, tag="accept"):
    id: Id
    seq: Count = 0
    queue: Count = 0


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


class ErrorFrame(Frame, tag="error"):
    """The reply failed. broke_off: number of servers that took the request and then broke off."""

    id: Id
    code: str = "upstream_error"
    message: str = ""
    retryable: bool = False
    broke_off: Count | msgspec.UnsetType = msgspec.UNSET


Numbered = AcceptFrame | ChunkFrame | ReasoningFrame | ToolCallFrame | ProgressFrame | AliveFrame | EndFrame
ReplyFrame = Numbered | Whole | ErrorFrame
InboxFrame = RequestFrame | CancelFrame

_Decoded = TypeVar("_Decoded")


class _NoFrame(Frame, tag="none"):
    """A frame that nothing sends: msgspec requires a `type` only in a union of at least two."""

    def __post_init__(self) -> None:
        raise ValueError("unknown `type`")


def strict_decoder(kind: type[_Decoded]) -> msgspec.json.Decoder[_Decoded]:
    """Return a decoder for this kind of frame, which refuses an object without a `type`."""
    return msgspec.json.Decoder(kind | _NoFrame)


class _AnyFrame(msgspec.Struct, gc=False):
    type: str


_REPLY_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ReplyFrame))
_encoder = msgspec.json.Encoder()
_reply_decoder: msgspec.json.Decoder[ReplyFrame] = msgspec.json.Decoder(ReplyFrame)
_inbox_decoder: msgspec.json.Decoder[InboxFrame] = msgspec.json.Decoder(InboxFrame)
_status_decoder = strict_decoder(Status)


def _decoded(decoder: msgspec.json.Decoder[_Decoded], payload: bytes) -> _Decoded:
    try:
        return decoder.decode(payload)
    # ValueError is bad UTF-8 and msgspec's own errors; RecursionError is JSON nested too deep.
    except (ValueError, RecursionError) as exc:
        raise ProtocolViolation(f"not a frame we know: {exc}"[:200]) from None


def decode_reply(payload: bytes) -> ReplyFrame:
    """Return a worker's frame to a gateway. Raises ProtocolViolation for all other payloads.

    Wrong values in side fields are ignored: see loose_frames.
    """
    try:
        return _reply_decoder.decode(payload)
    except (ValueError, RecursionError) as exc:
        strictly = str(exc)  # the error itself would keep this call's frame and payload alive
    try:
        frame: ReplyFrame = msgspec.convert(loosened(payload), ReplyFrame)
        return frame
    except (ValueError, RecursionError):
        raise ProtocolViolation(f"not a frame we know: {strictly}"[:200]) from None


def is_unlisted(payload: bytes) -> bool:
    """True if a frame that cannot be decoded has a type that this version does not know."""
    try:
        said = msgspec.json.decode(payload, type=_AnyFrame)
    except (ValueError, RecursionError):
        return False
    return said.type not in _REPLY_TYPES


def decode_inbox(payload: bytes) -> InboxFrame:
    """Return a gateway's frame to a worker. Raises ProtocolViolation for all other payloads."""
    return _decoded(_inbox_decoder, payload)


def decode_status(payload: bytes) -> Status:
    """Return a status. Raises ProtocolViolation for all other payloads.

    An empty payload clears a retained message in MQTT, so it means `lost`, whatever the incarnation.
    """
    return _decoded(_status_decoder, payload) if payload else Status(state="lost")


def encode(frame: Frame) -> bytes:
    """Return a frame's payload. Raises Unprocessable for text with a lone surrogate."""
    try:
        return _encoder.encode(frame)
    except UnicodeEncodeError as exc:
        raise Unprocessable("the text contains half a character (a lone surrogate)") from exc


def encode_request(
    request: ChatRequest, *, attempt_id: str, reply_to: str, deadline_s: float, idle_s: float
) -> bytes:
    """Return the `request` payload of one attempt, without the absent fields of turns and sampling.

    Raises Unprocessable for text with a lone surrogate.
    """
    payload = {
        "v": VERSION,
        "type": "request",
        "id": attempt_id,
        "reply_to": reply_to,
        "stream": True,
        "deadline_s": deadline_s,
        "idle_s": idle_s,
        "model": request.model,
        "messages": [turn.as_json() for turn in request.turns],
        "params": request.sampling.as_json(),
        "session": request.session,
        "trace": request.trace,
    }
    if request.broke_off:
        payload["broke_off"] = request.broke_off
    try:
        return _encoder.encode(payload)
    except UnicodeEncodeError as exc:
        raise Unprocessable("the conversation contains half a character (a lone surrogate)") from exc
