"""The payloads from and to devices that differ from those of workers."""

from typing import Annotated, Literal

import msgspec

from gateway.contract.errors import ProtocolViolation, Unprocessable
from transports.mqtt.protocol.error_frames import LONGEST_MESSAGE
from transports.mqtt.protocol.frame_codec import encode, strict_decoder
from transports.mqtt.protocol.frames import VERSION, AcceptFrame, CancelFrame, ErrorFrame, Frame, Id


class Chat(Frame, tag="chat"):
    """A device's question. session: a session's key. stream False: answered by one `reply`."""

    id: Id
    text: str
    v: Literal[1] = VERSION
    session: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    stream: bool = True


class DeviceAccept(Frame, tag="accept"):
    """The chat was accepted. session: the key of its session."""

    id: Id
    seq: int
    session: str


class _AnyChat(Frame, tag="chat"):
    id: Id


_chat_decoder = strict_decoder(Chat)
_any_chat_decoder = strict_decoder(_AnyChat)
_cancel_decoder = strict_decoder(CancelFrame)
# ValueError is bad UTF-8 and msgspec's own errors; RecursionError is JSON nested too deep.
_UNREADABLE = (ValueError, RecursionError)


def decode_chat(payload: bytes) -> Chat | ErrorFrame:
    """Return a chat; or, if it has an id but is otherwise invalid, the error to answer with.

    Raises ProtocolViolation for all other payloads.
    """
    try:
        return _chat_decoder.decode(payload)
    except _UNREADABLE as exc:
        wrong = str(exc)
    try:
        chat = _any_chat_decoder.decode(payload.decode())  # msgspec skips fields unchecked
    except _UNREADABLE:
        raise ProtocolViolation(f"not a chat: {wrong}"[:200]) from None
    message = f"The chat does not fit: {wrong}"[:LONGEST_MESSAGE]
    return ErrorFrame(chat.id, Unprocessable.code, message, Unprocessable.retryable)


def decode_cancel(payload: bytes) -> CancelFrame:
    """Return a device's cancel. Raises ProtocolViolation for all other payloads."""
    try:
        return _cancel_decoder.decode(payload)
    except _UNREADABLE as exc:
        raise ProtocolViolation(f"not a cancel: {exc}"[:200]) from None


def encode_for_device(frame: Frame, *, session: str, mirror: bool) -> bytes:
    """Return the payload of a reply's frame to a device. Raises Unprocessable as `encode` does."""
    if isinstance(frame, AcceptFrame):
        frame = DeviceAccept(frame.id, frame.seq, session)
    payload = encode(frame)
    return payload[:-1] + b',"mirror":true}' if mirror else payload
