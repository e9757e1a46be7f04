"""MQTT packets out of whatever bytes a broker sends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.errors import ProtocolViolation
from tests.transports.mqtt import packets as wire
from transports.mqtt.link.packets import (
    MessageDecoder,
    PacketSplitter,
    decode_puback,
    decode_publish,
    encode_puback,
    is_plain_puback,
    is_quick,
)

packets = st.builds(wire.packet, st.integers(0, 255), st.binary(max_size=300))


@given(st.lists(packets, max_size=8), st.data())
def test_packets_come_out_whole_however_they_are_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    splitter = PacketSplitter()
    received = [
        whole
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for whole in splitter.feed(stream[start:end])
    ]
    assert received == sent


def test_packets_come_out_of_single_bytes() -> None:
    sent = [
        wire.puback(7),
        wire.publish("a", b"x" * 200),
        wire.packet(0xD0, b""),
        wire.packet(0x32, b"y" * 20_000),
    ]
    splitter = PacketSplitter()
    received = [whole for byte in b"".join(sent) for whole in splitter.feed(bytes([byte]))]
    assert received == sent


@pytest.mark.parametrize("after", [b"", b"\xd0\x00"])
def test_a_packet_is_out_as_soon_as_its_last_byte_is_in(after: bytes) -> None:
    splitter = PacketSplitter()
    assert splitter.feed(b"\x40") == []
    assert splitter.feed(b"\x02\x00") == []
    assert splitter.feed(b"\x07" + after) == [b"\x40\x02\x00\x07", *([after] if after else [])]


@pytest.mark.parametrize("properties", [None, b"", b"p" * 100, b"p" * 70_000])
@pytest.mark.parametrize("read_bytes", [1000, 16_384])
def test_of_a_message_that_is_too_long_the_middle_is_left_out(
    properties: bytes | None, read_bytes: int
) -> None:
    payload = b"a" * 1025 + b"x" * 400_000 + b"the end"
    long = wire.publish("a/b", payload, packet_id=7, properties=properties)
    sent = long + wire.publish("a/c", b"y", properties=properties)
    splitter = PacketSplitter(max_payload=1024, mqtt_5=properties is not None)
    received: list[bytes] = []
    for start in range(0, len(sent), read_bytes):
        received += splitter.feed(sent[start : start + read_bytes])
        assert len(splitter._rest) <= 1024 + 128 * 1024 + 16_384
    first, second = [decode_publish(packet, properties is not None) for packet in received]
    assert (first[0], first[3]) == ("a/b", b"\0\7")
    assert 1024 < len(first[1]) <= 1024 + 128 * 1024 + 16_384 + 4096
    assert re.fullmatch(b"a{1025}x+the end", first[1])
    assert second[:2] == ("a/c", b"y")


@pytest.mark.parametrize("mqtt_5", [False, True])
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("topic", ["a/b", "t" * 300])
def test_of_a_message_with_endless_properties_no_payload_is_kept(topic: str, qos: int, mqtt_5: bool) -> None:
    """For MQTT 3.1.1 they are part of the payload."""
    long = wire.publish(topic, b"x" * 10, qos=qos, packet_id=7, properties=b"p" * 400_000)
    splitter = PacketSplitter(max_payload=1024, mqtt_5=mqtt_5)
    assert splitter.feed(long[:200_000]) == []
    packet, after = splitter.feed(long[200_000:] + wire.puback(7))
    heard, payload, _, packet_id = decode_publish(packet, mqtt_5)
    assert (heard, packet_id, after) == (topic, b"\0\7" if qos else b"", wire.puback(7))
    assert (payload == b"\0") == mqtt_5


@given(st.integers(1, 5_000), st.integers(0, 9_000))
def test_a_message_that_is_too_long_may_end_anywhere(behind_cut: int, read_bytes: int) -> None:
    splitter = PacketSplitter(max_payload=1024)
    payload = bytes(range(256)) * 600
    longest = 1024 + 128 * 1024
    long = wire.publish("a", payload[: longest + behind_cut - len(wire.publish("a", b"")) - 2])
    sent = long + wire.puback(7)
    received = splitter.feed(sent[:longest])
    received += splitter.feed(sent[longest : longest + read_bytes]) + splitter.feed(
        sent[longest + read_bytes :]
    )
    assert received == [long[:longest] + long[longest:][-4096:], wire.puback(7)]


def test_a_packet_that_is_too_long_and_no_message_ends_the_connection() -> None:
    splitter = PacketSplitter(max_payload=1024)
    with pytest.raises(ProtocolViolation):
        splitter.feed(b"\x90\xff\xff\xff\x7f" + b"x" * 200_000)


def test_the_longest_packet_is_waited_for() -> None:
    splitter = PacketSplitter()
    assert splitter.feed(b"\x30\xff\xff\xff\x7f") == []
    assert splitter.feed(b"x" * 100_000) == []


@pytest.mark.parametrize("head", [b"\x30\x80\x80\x80\x80", b"\x30\xff\xff\xff\xff\x7f"])
def test_a_length_of_five_bytes_is_a_violation(head: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        PacketSplitter().feed(head)


@given(st.lists(st.binary(max_size=50)))
def test_garbage_is_split_or_refused(chunks: list[bytes]) -> None:
    splitter = PacketSplitter()
    received = []
    try:
        for chunk in chunks:
            received += splitter.feed(chunk)
    except ProtocolViolation:
        return
    assert b"".join(chunks).startswith(b"".join(received))


@given(
    topic=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    payload=st.binary(max_size=400),
    qos=st.sampled_from([0, 1]),
    packet_id=st.integers(1, 65_535),
    retained=st.booleans(),
    properties=st.none() | st.binary(max_size=200),
)
def test_a_publish_says_what_was_written(
    topic: str, payload: bytes, qos: int, packet_id: int, retained: bool, properties: bytes | None
) -> None:
    written = wire.publish(
        topic, payload, qos=qos, packet_id=packet_id, retained=retained, properties=properties
    )
    id_bytes = packet_id.to_bytes(2, "big") if qos else b""
    assert is_quick(written)
    assert decode_publish(written, properties is not None) == (topic, payload, retained, id_bytes)


TOPIC = "t" * 150


def assert_decoded_alike(decoder: MessageDecoder, packet: bytes, mqtt_5: bool) -> None:
    try:
        expected = decode_publish(packet, mqtt_5) if is_quick(packet) else None
    except ProtocolViolation:
        with pytest.raises(ProtocolViolation):
            decoder.decode(packet)
        return
    assert decoder.decode(packet) == expected


@given(st.lists(packets, max_size=8), st.booleans())
def test_packets_are_decoded_alike_whatever_came_before_them(sent: list[bytes], mqtt_5: bool) -> None:
    decoder = MessageDecoder(mqtt_5)
    for packet in sent:
        assert_decoded_alike(decoder, packet, mqtt_5)


@pytest.mark.parametrize(
    ("before", "packet"),
    [
        (TOPIC, wire.publish(TOPIC, b"x" * 9, packet_id=512, properties=b"")),
        (TOPIC, wire.publish(TOPIC, b"x" * 20_000, properties=b"")),
        (TOPIC, wire.publish(TOPIC, b"x" * 9, properties=b"\x01\x01")),
        (TOPIC, wire.publish(TOPIC, b"x" * 9, properties=b"", retained=True)),
        (TOPIC, wire.publish(TOPIC, b"x" * 9, properties=b"", qos=0)),
        (TOPIC, wire.publish("s" * 150, b"x" * 9, properties=b"")),
        (TOPIC, wire.publish(TOPIC + "t", b"x" * 9, properties=b"")),
        (TOPIC, wire.packet(0x34, wire.publish(TOPIC, b"x" * 9, properties=b"")[3:])),
        ("ab", wire.packet(0x32, b"\0\0\2abb\0")),  # the topic's bytes, behind a length of one byte
        ("ab", b"\x32\xbc\x85\0\2ab" + b"c" * 697),  # and behind one of three bytes
    ],
)
@pytest.mark.parametrize("mqtt_5", [True, False])
def test_a_message_is_decoded_alike_behind_another_one(before: str, packet: bytes, mqtt_5: bool) -> None:
    decoder = MessageDecoder(mqtt_5)
    decoder.decode(wire.publish(before, b"x", properties=b"" if mqtt_5 else None))
    for _ in range(2):
        assert_decoded_alike(decoder, packet, mqtt_5)


@pytest.mark.parametrize("mqtt_5", [True, False])
def test_a_message_cut_short_behind_the_topic_of_the_last_one_is_a_violation(mqtt_5: bool) -> None:
    decoder = MessageDecoder(mqtt_5)
    written = wire.publish(TOPIC, b"", qos=1, packet_id=7, properties=b"" if mqtt_5 else None)
    for _ in range(2):
        assert decoder.decode(written) == (TOPIC, b"", False, b"\0\7")
        for end in range(4, len(written)):
            with pytest.raises(ProtocolViolation):
                decoder.decode(wire.packet(written[0], written[3:end]))


@given(st.binary(max_size=80), st.booleans(), st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A]))
def test_a_hostile_message_behind_another_is_decoded_or_refused(
    body: bytes, mqtt_5: bool, first: int
) -> None:
    decoder = MessageDecoder(mqtt_5)
    decoder.decode(wire.publish(TOPIC, b"x", properties=b"" if mqtt_5 else None))
    assert_decoded_alike(decoder, wire.packet(first, b"\0\x96" + TOPIC.encode() + body), mqtt_5)


def test_a_redelivered_message_is_a_message() -> None:
    again = bytearray(wire.publish("a", b"x"))
    again[0] |= 0x08
    assert is_quick(bytes(again))
    _, payload, _, _ = decode_publish(bytes(again), False)
    assert payload == b"x"


@pytest.mark.parametrize("mqtt_5", [True, False])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_publish_cut_short_is_a_violation(qos: int, mqtt_5: bool) -> None:
    written = wire.publish("a/topic", b"", qos=qos, properties=b"\x01\x01" if mqtt_5 else None)
    for end in range(2, len(written)):
        with pytest.raises(ProtocolViolation):
            decode_publish(wire.packet(written[0], written[2:end]), mqtt_5)


@given(st.binary(max_size=80), st.booleans(), st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A]))
def test_a_hostile_publish_is_decoded_or_refused(body: bytes, mqtt_5: bool, first: int) -> None:
    try:
        _, payload, _, packet_id = decode_publish(wire.packet(first, body), mqtt_5)
    except ProtocolViolation:
        return
    assert body.endswith(payload)
    assert len(packet_id) == (2 if first & 2 else 0)


def test_a_topic_that_is_not_utf_8_has_no_name_in_it() -> None:
    topic, *_ = decode_publish(wire.publish(b"status/\xff\xfe", b"x"), False)
    assert topic == "status/\ufffd\ufffd"


@pytest.mark.parametrize(
    "first",
    [first for first in range(256) if first & 0xF0 != 0x30 or first & 0x06 > 0x02],
    ids=hex,
)
def test_nothing_else_is_quick(first: int) -> None:
    assert not is_quick(wire.packet(first, b"\x00\x01a\x00\x01x"))


@given(st.integers(1, 65_535))
def test_an_acknowledgement_names_its_message(packet_id: int) -> None:
    written = encode_puback(packet_id.to_bytes(2, "big"))
    assert written == wire.puback(packet_id)
    assert is_plain_puback(written)
    assert decode_puback(written) == packet_id


@pytest.mark.parametrize(
    "other", [wire.puback(7, 0x10), wire.packet(0x50, b"\x00\x07"), b"\x40\x02\x00", b""]
)
def test_an_acknowledgement_with_a_reason_is_not_plain(other: bytes) -> None:
    assert not is_plain_puback(other)
