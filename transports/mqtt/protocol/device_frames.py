"""The payloads from and to devices that differ from those of workers."""

from typing import Annotated, Literal

import msgspec

from gateway.contract.errors import ProtocolViolation, TooLarge, Unprocessable
from transports.mqtt.protocol.error_frames import LONGEST_MESSAGE
from transports.mqtt.protocol.frame_codec import bare, encode, strict_decoder
from transports.mqtt.protocol.frames import VERSION, AcceptFrame, Frame, Id
from transports.mqtt.protocol.message_heads import Head, head_of


class Chat(Frame, tag="chat"):
    """A device's question, or its message to a room. session: a session's key. stream False: answered by one
    `reply`. ask: see DeviceChat."""

    id: Id
    text: str
    v: Literal[1] = VERSION
    session: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    stream: bool = True
    ask: bool | None = None


class DeviceCancel(Frame, tag="cancel"):
    """Stops a chat. Its other fields are for logs of others, and ignored."""

    id: Id


class DeviceAccept(Frame, tag="accept"):
    """The chat was accepted. session: the key of its session."""

    id: Id
    seq: int
    session: str


class ChatError(Frame, tag="error"):
    """Answers a message that is no valid chat. id: that of the message; None if it cannot be read."""

    id: Id | None
    code: str
    message: str
    retryable: bool = False


_chat_decoder = strict_decoder(Chat)
_cancel_decoder = strict_decoder(DeviceCancel)
# ValueError is bad UTF-8 and msgspec's own errors; RecursionError is JSON nested too deep.
_UNREADABLE = (ValueError, RecursionError)


def decode_chat(payload: bytes, max_bytes: int) -> Chat | ChatError:
    """Return a chat, or the error to answer with.

    Raises ProtocolViolation for what gets no answer: an empty payload, and an object of another type.

    max_bytes: of a larger payload the middle may be missing.
    """
    if not payload:
        raise ProtocolViolation("not a chat: the payload is empty")
    if len(payload) > max_bytes:
        message = f"The message is too long: at most {max_bytes} bytes are accepted (MQTT_MAX_PAYLOAD)."
        return ChatError(_checked_id(head_of(payload)), TooLarge.code, message)
    try:
        return _chat_decoder.decode(bare(payload))
    except _UNREADABLE as exc:
        wrong = str(exc)
    head = head_of(payload)
    if isinstance(head.type, str) and head.type != "chat":
        raise ProtocolViolation(f"not a chat: {wrong}"[:200])
    message = f"The chat does not fit: {wrong}"[:LONGEST_MESSAGE]
    return ChatError(_checked_id(head), Unprocessable.code, message)


def _checked_id(head: Head) -> str | None:
    try:
        return msgspec.convert(head.id, Id)
    except msgspec.ValidationError:
        return None


def decode_cancel(payload: bytes) -> DeviceCancel:
    """Return a device's cancel. Raises ProtocolViolation for all other payloads."""
    try:
        return _cancel_decoder.decode(bare(payload))
    except _UNREADABLE as exc:
        raise ProtocolViolation(f"not a cancel: {exc}"[:200]) from None


def encode_for_device(frame: Frame, *, session: str, mirror: bool) -> bytes:
    """Return the payload of a reply's frame to a device. Raises Unprocessable as `encode` does."""
    if isinstance(frame, AcceptFrame):
        frame = DeviceAccept(frame.id, frame.seq, session)
    payload = encode(frame)
    return payload[:-1] + b',"mirror":true}' if mirror else payload
