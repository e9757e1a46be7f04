"""The payloads that devices send and hear, where they are not those of workers."""

from typing import Annotated, Literal

import msgspec

from gateway.contract.errors import ProtocolViolation, Unprocessable
from transports.mqtt.protocol.error_frames import LONGEST_MESSAGE
from transports.mqtt.protocol.frames import (
    VERSION,
    AcceptFrame,
    CancelFrame,
    ErrorFrame,
    Frame,
    Id,
    encode,
    strict_decoder,
)


class Chat(Frame, tag="chat"):
    """What a device asks. session: a session's key; stream False: answered by one `reply`."""

    id: Id
    text: str
    v: Literal[1] = VERSION
    session: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    stream: bool = True


class DeviceAccept(Frame, tag="accept"):
    """session: the key of the session in which the chat is answered."""

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
    """A chat, or what to answer to one that has an id and does not fit otherwise.

    Raises ProtocolViolation for everything else.
    """
    try:
        return _chat_decoder.decode(payload)
    except _UNREADABLE as exc:
        wrong = str(exc)
    try:
        chat = _any_chat_decoder.decode(payload.decode())  # what is skipped must be UTF-8 too
    except _UNREADABLE:
        raise ProtocolViolation(f"not a chat: {wrong}"[:200]) from None
    message = f"The chat does not fit: {wrong}"[:LONGEST_MESSAGE]
    return ErrorFrame(chat.id, Unprocessable.code, message, Unprocessable.retryable)


def decode_cancel(payload: bytes) -> CancelFrame:
    """What a device cancels; raises ProtocolViolation for everything that is no cancel."""
    try:
        return _cancel_decoder.decode(payload)
    except _UNREADABLE as exc:
        raise ProtocolViolation(f"not a cancel: {exc}"[:200]) from None


def encode_for_device(frame: Frame, *, session: str, mirror: bool) -> bytes:
    """The payload of a reply's frame on its way to a device; raises Unprocessable as `encode` does."""
    if isinstance(frame, AcceptFrame):
        frame = DeviceAccept(frame.id, frame.seq, session)
    payload = encode(frame)
    return payload[:-1] + b',"mirror":true}' if mirror else payload
