"""Encodes the properties of a PUBLISH, at a tenth of the cost of paho's own class."""

from paho.mqtt.properties import Properties

from transports.mqtt.link.link import Envelope

_MESSAGE_EXPIRY, _RESPONSE_TOPIC = b"\x02", b"\x08"
_CORRELATION_DATA, _USER_PROPERTY = b"\x09", b"\x26"
_JSON = b"\x03\x00\x10application/json"
_TRACE_NAME = b"\x00\x0btraceparent"
_LONGEST_EXPIRY = 2**32 - 1


class PublishProperties(Properties):
    """An envelope as paho's Properties. paho calls only `pack`. Source: MQTT 5.0, 3.3.2.3."""

    def __init__(self, envelope: Envelope) -> None:
        # Not super().__init__: Properties checks each assignment, which takes 20 us a message.
        object.__setattr__(self, "packed", _packed(envelope))

    def pack(self) -> bytes:
        packed: bytes = object.__getattribute__(self, "packed")
        return packed


def _packed(envelope: Envelope) -> bytes:
    expiry_s = min(max(1, round(envelope.expiry_s)), _LONGEST_EXPIRY)
    written = [_JSON, _MESSAGE_EXPIRY, expiry_s.to_bytes(4, "big")]
    if envelope.response_topic is not None:
        written += _RESPONSE_TOPIC, _sized(envelope.response_topic)
    if envelope.correlation is not None:
        written += _CORRELATION_DATA, _sized(envelope.correlation)
    if envelope.trace is not None:
        written += _USER_PROPERTY, _TRACE_NAME, _sized(envelope.trace)
    body = b"".join(written)
    return _variable_length(len(body)) + body


def _sized(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _variable_length(length: int) -> bytes:
    """Return a length as a Variable Byte Integer. Source: MQTT 5.0, 1.5.5."""
    written = bytearray()
    while length >= 0x80:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    written.append(length)
    return bytes(written)
