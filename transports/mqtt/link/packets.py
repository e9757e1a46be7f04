"""The part of MQTT on the token path: packet boundaries, PUBLISH and PUBACK. Pure."""

from contextlib import suppress

from gateway.contract.errors import ProtocolViolation

ACK_BYTES = 4
LONGEST_PACKET = 268_435_455
_ROOM_BESIDE_PAYLOAD = 128 * 1024
"""More than the bytes before a payload: a topic has at most 65,535 bytes."""

_END_BYTES = 4096
"""Kept of the end of a message that is too long: it may contain the message's id."""

_QOS_1 = 0x32
_PUBACK = b"\x40\x02"
_CUT_OFF = "a PUBLISH ends in the middle of a field"

Publish = tuple[str, bytes, bool, bytes]
"""One message from the broker: topic, payload, the retain flag, and the packet id (two bytes to acknowledge
QoS 1; empty for QoS 0)."""


class PacketSplitter:
    """Splits the bytes of one connection into packets; an incomplete one waits for its rest.

    Of a PUBLISH that is too long the middle is left out. More than `max_payload` bytes of its payload remain,
    so that every handler refuses it. It is acknowledged, and the broker does not send it again.
    """

    def __init__(self, max_payload: int = LONGEST_PACKET, *, mqtt_5: bool = False) -> None:
        self._max_payload = max_payload
        self._max_bytes = max_payload + _ROOM_BESIDE_PAYLOAD
        self._mqtt_5 = mqtt_5
        self._rest = bytearray()
        self._expected = 0
        self._too_long = b""
        self._unread = 0

    def feed(self, received: bytes) -> list[bytes]:
        """Return the packets that `received` completes.

        Raises ProtocolViolation for an invalid length, and for a packet that is too long unless it is a
        PUBLISH of QoS 0 or 1.
        """
        packets = []
        if self._unread:
            self._rest += received[: self._unread]
            del self._rest[:-_END_BYTES]
            received, self._unread = received[self._unread :], max(0, self._unread - len(received))
            if self._unread:
                return []
            packets.append(self._without_middle(self._too_long, bytes(self._rest)))
            self._too_long = b""
            self._rest.clear()
        elif self._rest:
            self._rest += received
            if len(self._rest) < self._expected:
                return []
            received = bytes(self._rest)
            self._rest.clear()
        start = 0
        while (end := _packet_end(received, start)) <= len(received):
            packets.append(received[start:end])
            start = end
        length = end - start
        if length > self._max_bytes and len(received) - start >= self._max_bytes:
            self._too_long = received[start:]
            if not is_quick(self._too_long):
                raise ProtocolViolation("the broker sent a packet that is too long")
            self._unread = end - len(received)
            return packets
        self._rest += received[start:]
        self._expected = min(length, self._max_bytes)
        return packets

    def _without_middle(self, beginning: bytes, end: bytes) -> bytes:
        """Return a short PUBLISH. It has no payload if the properties of MQTT 5 are too long."""
        with suppress(ProtocolViolation):
            if len(decode_publish(beginning, self._mqtt_5)[1]) > self._max_payload:
                return beginning + end
        at = 2
        while beginning[at - 1] >= 0x80:
            at += 1
        at += 2 + (beginning[at] << 8 | beginning[at + 1])
        if beginning[0] & 0x02:
            at += 2
        return beginning[:at] + b"\0\0"


class MessageDecoder:
    """Decodes the messages of one connection. Most have the topic of the message before them, which is
    compared and not decoded again."""

    def __init__(self, mqtt_5: bool) -> None:
        self._mqtt_5 = mqtt_5
        self._topic = ""
        self._topic_field = b""
        self._payload_at = LONGEST_PACKET

    def decode(self, packet: bytes) -> Publish | None:
        """Return the message; None if the packet is not a PUBLISH of QoS 0 or 1.

        Raises ProtocolViolation as decode_publish.
        """
        at = self._payload_at
        if (
            len(packet) >= at
            and packet[0] == _QOS_1
            and packet[1] >= 0x80 > packet[2]  # the length has two bytes
            and packet.startswith(self._topic_field, 3)
            and (packet[at - 1] == 0 or not self._mqtt_5)  # no properties
        ):
            id_at = 3 + len(self._topic_field)
            return self._topic, packet[at:], False, packet[id_at : id_at + 2]
        if not is_quick(packet):
            return None
        message = decode_publish(packet, self._mqtt_5)
        self._topic, topic = message[0], message[0].encode()
        self._topic_field = len(topic).to_bytes(2, "big") + topic
        self._payload_at = 3 + len(self._topic_field) + 2 + self._mqtt_5
        return message


def is_quick(packet: bytes) -> bool:
    """True for a PUBLISH of QoS 0 or 1. The handshake of QoS 2 needs state, which paho has."""
    return packet[0] & 0xF4 == 0x30


def decode_publish(packet: bytes, mqtt_5: bool) -> Publish:
    """Decode a packet that `is_quick`. Raises ProtocolViolation if it ends within a field.

    MQTT 5 properties are skipped: our payloads are complete without them. Invalid UTF-8 in the topic becomes
    U+FFFD, which no name contains. Source: MQTT 5.0, 3.3.
    """
    first = packet[0]
    at = 2
    while packet[at - 1] >= 0x80:  # the length, which the splitter has read
        at += 1
    try:
        topic_at = at + 2
        at = topic_at + (packet[at] << 8 | packet[at + 1])
        topic = str(packet[topic_at:at], "utf-8", "replace")
        packet_id = b""
        if first & 0x02:
            packet_id = packet[at : at + 2]
            at += 2
        if mqtt_5:
            if packet[at]:
                length, at = _variable_length(packet, at)
                at += length
            else:
                at += 1
    except IndexError as exc:
        raise ProtocolViolation(_CUT_OFF) from exc
    if at > len(packet):
        raise ProtocolViolation(_CUT_OFF)
    return topic, packet[at:], first & 0x01 == 1, packet_id


def encode_puback(packet_id: bytes) -> bytes:
    """Return the PUBACK of one QoS 1 message, the same in both versions. Source: MQTT 5.0, 3.4."""
    return _PUBACK + packet_id


def is_plain_puback(packet: bytes) -> bool:
    """True for a PUBACK without reason code and properties."""
    return len(packet) == ACK_BYTES and packet.startswith(_PUBACK)


def decode_puback(packet: bytes) -> int:
    """Return the packet id of a packet that `is_plain_puback`."""
    return int.from_bytes(packet[2:], "big")


def _packet_end(received: bytes, start: int) -> int:
    """Return the end of the packet at `start`, or the least number of bytes needed to know it."""
    if start + 2 < len(received) and received[start + 1] >= 0x80 > received[start + 2]:
        # Fast path for a token's packet, whose length has two bytes.
        return start + 3 + (received[start + 1] & 0x7F | received[start + 2] << 7)
    length, body = _variable_length(received, start + 1)
    return body + length


def _variable_length(packet: bytes, at: int) -> tuple[int, int]:
    """Return a Variable Byte Integer and the index behind it. An incomplete one counts as 1 more byte.

    Raises ProtocolViolation if it has more than four bytes. Source: MQTT 5.0, 1.5.5.
    """
    value = 0
    for shift in (0, 7, 14, 21):
        if at >= len(packet):
            return 1, at
        byte = packet[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ProtocolViolation("the broker sent a packet length of more than four bytes")
