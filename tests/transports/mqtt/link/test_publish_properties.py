"""Our properties of a PUBLISH say to paho, and to a broker, what paho's own would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from transports.mqtt.link.client_options import properties_of
from transports.mqtt.link.link import Envelope
from transports.mqtt.link.publish_properties import PublishProperties

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300)


def read(packed: bytes) -> dict[str, object]:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own gap
    _, length = properties.unpack(packed)  # type: ignore[no-untyped-call]
    assert length == len(packed)
    said: dict[str, object] = properties.json()  # type: ignore[no-untyped-call]
    return said


@given(st.floats(0, 2**31), st.none() | text, st.none() | text, st.none() | text)
def test_they_say_the_same_as_pahos(
    expiry_s: float, response_topic: str | None, correlation: str | None, trace: str | None
) -> None:
    envelope = Envelope(expiry_s, response_topic, correlation, trace)
    ours, theirs = PublishProperties(envelope).pack(), properties_of(envelope).pack()  # type: ignore[no-untyped-call]
    assert read(ours) == read(theirs)


@pytest.mark.parametrize("length", [100, 127, 128, 129, 16_000, 16_500])
def test_the_length_may_take_several_bytes(length: int) -> None:
    assert read(PublishProperties(Envelope(1, "t" * length)).pack())["ResponseTopic"] == "t" * length
