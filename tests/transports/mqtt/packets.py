"""Encodes a broker's packets, for tests."""

CONNACK_3_1_1 = b"\x20\x02\x00\x00"
CONNACK_5 = b"\x20\x03\x00\x00\x00"
SUBSCRIBE, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT = 0x80, 0x30, 0x40, 0x50, 0x60, 0x70, 0xE0


def packet(first: int, body: bytes) -> bytes:
    """Return a packet: fixed header and body."""
    return bytes([first]) + variable_length(len(body)) + body


def variable_length(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def publish(
    topic: str | bytes,
    payload: bytes,
    *,
    qos: int = 1,
    packet_id: int = 1,
    retained: bool = False,
    properties: bytes | None = None,
) -> bytes:
    """Return a PUBLISH packet. properties: None for 3.1.1, b"" for an MQTT 5 packet without any."""
    name = topic.encode() if isinstance(topic, str) else topic
    body = len(name).to_bytes(2, "big") + name
    if qos:
        body += packet_id.to_bytes(2, "big")
    if properties is not None:
        body += variable_length(len(properties)) + properties
    return packet(PUBLISH | qos << 1 | retained, body + payload)


def puback(packet_id: int, reason: int | None = None) -> bytes:
    return packet(PUBACK, packet_id.to_bytes(2, "big") + (b"" if reason is None else bytes([reason])))
