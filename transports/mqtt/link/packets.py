"""The part of MQTT that every token passes: where packets end, PUBLISH and PUBACK. Pure."""

from gateway.contract.errors import ProtocolViolation

ACK_BYTES = 4
LONGEST_PACKET = 268_435_455
_ROOM_BESIDE_PAYLOAD = 128 * 1024
"""More than what stands before a payload takes: a topic has at most 65,535 bytes."""

_PUBACK = b"\x40\x02"
_CUT_OFF = "a PUBLISH ends in the middle of a field"

Publish = tuple[str, bytes, bool, bytes]
"""One message from the broker: topic, payload, whether it was retained, and the packet id, two bytes to
acknowledge QoS 1 with, none for QoS 0."""


class PacketSplitter:
    """Cuts what one connection receives into packets; one that has not all arrived waits for its rest.

    max_payload: a PUBLISH of more is not kept. It comes out with its topic and packet id, and one zero byte
    for its payload, which no handler takes for a message: so it is acknowledged, and not sent again.
    """

    def __init__(self, max_payload: int = LONGEST_PACKET) -> None:
        self._max_bytes = max_payload + _ROOM_BESIDE_PAYLOAD
        self._rest = bytearray()
        self._expected = 0
        self._unwanted = 0

    def feed(self, received: bytes) -> list[bytes]:
        """Every packet that is whole now.

        Raises ProtocolViolation for a length that MQTT cannot write, and for a packet that is too long and no
        PUBLISH of QoS 0 or 1.
        """
        if self._unwanted:
            unwanted = min(self._unwanted, len(received))
            self._unwanted -= unwanted
            received = received[unwanted:]
        if self._rest:
            self._rest += received
            if len(self._rest) < self._expected:
                return []
            received = bytes(self._rest)
            self._rest.clear()
        packets = []
        start = 0
        while (end := _packet_end(received, start)) <= len(received):
            packets.append(received[start:end])
            start = end
        length = end - start
        if length > self._max_bytes and len(received) - start >= _ROOM_BESIDE_PAYLOAD:
            packets.append(_without_payload(received[start:]))
            self._unwanted = end - len(received)
            return packets
        self._rest += received[start:]
        self._expected = length if length <= self._max_bytes else _ROOM_BESIDE_PAYLOAD
        return packets


def _without_payload(packet: bytes) -> bytes:
    """The beginning of a long PUBLISH as a short one; both versions read a zero byte as its payload."""
    if not is_quick(packet):
        raise ProtocolViolation("the broker sent a packet that is too long")
    at = 2
    while packet[at - 1] >= 0x80:
        at += 1
    at += 2 + (packet[at] << 8 | packet[at + 1])
    if packet[0] & 0x02:
        at += 2
    return packet[:at] + b"\0\0"


def is_quick(packet: bytes) -> bool:
    """Whether it is a PUBLISH of QoS 0 or 1; the handshake of QoS 2 needs a memory."""
    return packet[0] & 0xF4 == 0x30


def decode_publish(packet: bytes, mqtt_5: bool) -> Publish:
    """Take apart a packet that `is_quick`; raises ProtocolViolation if it ends in the middle of a field.

    MQTT 5 properties are skipped: our payloads are complete without them. Bytes of the topic that are not
    UTF-8 become U+FFFD, which no name may hold. Source: MQTT 5.0, 3.3.
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
    """The acknowledgement of one QoS 1 message, the same in both versions. Source: MQTT 5.0, 3.4."""
    return _PUBACK + packet_id


def is_plain_puback(packet: bytes) -> bool:
    """Whether it acknowledges one message and has nothing more to say."""
    return len(packet) == ACK_BYTES and packet.startswith(_PUBACK)


def decode_puback(packet: bytes) -> int:
    """The packet id in a packet that `is_plain_puback`."""
    return int.from_bytes(packet[2:], "big")


def _packet_end(received: bytes, start: int) -> int:
    """Where the packet that begins at `start` ends, or the least that must arrive before that can be told."""
    if start + 2 < len(received) and received[start + 1] >= 0x80 > received[start + 2]:
        # What a token comes in: a length of two bytes.
        return start + 3 + (received[start + 1] & 0x7F | received[start + 2] << 7)
    length, body = _variable_length(received, start + 1)
    return body + length


def _variable_length(packet: bytes, at: int) -> tuple[int, int]:
    """A Variable Byte Integer and the index behind it. Cut off it counts as 1: there is a byte more at least.

    Raises ProtocolViolation when it takes more than four bytes. Source: MQTT 5.0, 1.5.5.
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
    raise ProtocolViolation("a length takes more than four bytes")
