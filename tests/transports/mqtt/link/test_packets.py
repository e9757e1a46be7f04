"""MQTT packets out of whatever bytes a broker sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.errors import ProtocolViolation
from tests.transports.mqtt import packets as wire
from transports.mqtt.link.packets import (
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


@pytest.mark.parametrize("mqtt_5", [False, True])
@pytest.mark.parametrize("read_bytes", [1000, 16_384])
def test_a_message_that_is_too_long_is_heard_without_its_payload_and_not_kept(
    mqtt_5: bool, read_bytes: int
) -> None:
    properties = b"" if mqtt_5 else None
    long = wire.publish("a/b", b"x" * 400_000, packet_id=7, properties=properties)
    sent = long + wire.publish("a/c", b"y", properties=properties)
    splitter = PacketSplitter(max_payload=1024)
    received: list[bytes] = []
    for start in range(0, len(sent), read_bytes):
        received += splitter.feed(sent[start : start + read_bytes])
        assert len(splitter._rest) <= 1024 + 128 * 1024 + 16_384
    heard = [decode_publish(packet, mqtt_5)[:2] for packet in received]
    assert heard == [("a/b", b"\0" if mqtt_5 else b"\0\0"), ("a/c", b"y")]
    assert decode_publish(received[0], mqtt_5)[3] == b"\0\7"


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
