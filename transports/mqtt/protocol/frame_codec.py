"""Decodes and encodes the payloads of Sluice over MQTT."""

from typing import Any, TypeVar, get_args

import msgspec

from gateway.contract.embeddings import EmbedRequest
from gateway.contract.errors import NotSupported, ProtocolViolation, Unprocessable
from gateway.contract.requests import ChatRequest
from transports.mqtt.protocol.frames import VERSION, Frame, InboxFrame, ReplyFrame, Status
from transports.mqtt.protocol.loose_frames import loosened

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
BOM = b"\xef\xbb\xbf"
_encoder = msgspec.json.Encoder()
_reply_decoder: msgspec.json.Decoder[ReplyFrame] = msgspec.json.Decoder(ReplyFrame)
_inbox_decoder: msgspec.json.Decoder[InboxFrame] = msgspec.json.Decoder(InboxFrame)
_status_decoder = strict_decoder(Status)


def bare(payload: bytes) -> bytes:
    """Return the payload without a byte order mark, and without the NUL behind a text of C."""
    return payload.removeprefix(BOM).rstrip(b"\0")


def _decoded(decoder: msgspec.json.Decoder[_Decoded], payload: bytes) -> _Decoded:
    try:
        return decoder.decode(bare(payload))
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
        said = msgspec.json.decode(bare(payload), type=_AnyFrame)
    except (ValueError, RecursionError):
        return False
    return said.type not in _REPLY_TYPES


def decode_inbox(payload: bytes) -> InboxFrame:
    """Return a gateway's frame to a worker. Raises ProtocolViolation for all other payloads."""
    return _decoded(_inbox_decoder, payload)


def decode_status(payload: bytes) -> Status:
    """Return a status. Raises ProtocolViolation for all other payloads.

    An empty payload clears a retained message in MQTT, so it means `lost`, whatever the incarnation. Whole
    numbers may be written as floats.
    """
    if not payload:
        return Status(state="lost")
    try:
        return _status_decoder.decode(payload)
    except (ValueError, RecursionError) as exc:
        strictly = str(exc)
    try:
        status: Status = msgspec.convert(loosened(payload), Status | _NoFrame)
        return status
    except (ValueError, RecursionError):
        raise ProtocolViolation(f"not a frame we know: {strictly}"[:200]) from None


def encode(frame: Frame) -> bytes:
    """Return a frame's payload. Raises Unprocessable for text with a lone surrogate."""
    try:
        return _encoder.encode(frame)
    except UnicodeEncodeError as exc:
        raise Unprocessable("the text contains half a character (a lone surrogate)") from exc


def encode_request(
    request: ChatRequest,
    *,
    attempt_id: str,
    reply_to: str,
    deadline_s: float,
    idle_s: float,
    keep_s: float = 0.0,
) -> bytes:
    """Return the `request` payload of one attempt, without the absent fields of turns and sampling.

    keep_s: seconds for which the worker keeps the reply without a gateway; 0: it stops.

    Raises Unprocessable for text with a lone surrogate, NotSupported for a raw request.
    """
    if request.raw:
        raise NotSupported("Workers over MQTT take chats only, no text to continue: use mode sse.")
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
    if keep_s:
        payload["keep_s"] = keep_s
    return _encoded(payload)


def encode_embed(
    request: EmbedRequest, *, attempt_id: str, reply_to: str, deadline_s: float, idle_s: float
) -> bytes:
    """Return the `embed` payload of one attempt. Raises Unprocessable as encode_request."""
    payload: dict[str, Any] = {
        "v": VERSION,
        "type": "embed",
        "id": attempt_id,
        "reply_to": reply_to,
        "deadline_s": deadline_s,
        "idle_s": idle_s,
        "model": request.model,
        "input": request.inputs,
        "trace": request.trace,
    }
    if request.dimensions is not None:
        payload["dimensions"] = request.dimensions
    if request.broke_off:
        payload["broke_off"] = request.broke_off
    return _encoded(payload)


def _encoded(payload: dict[str, Any]) -> bytes:
    try:
        return _encoder.encode(payload)
    except UnicodeEncodeError as exc:
        raise Unprocessable("the conversation contains half a character (a lone surrogate)") from exc
