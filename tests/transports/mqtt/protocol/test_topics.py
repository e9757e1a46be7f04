import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.errors import ProtocolViolation, RequestRejected
from transports.mqtt.protocol import topics

names = st.from_regex(topics.NAME, fullmatch=True)


@given(st.text())
def test_a_name_is_taken_as_it_is_or_refused(text: str) -> None:
    try:
        assert topics.checked_name(text) == text
    except RequestRejected:
        assert not topics.NAME.fullmatch(text)


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "a+", "ä", "a b", "a\n", "x" * 65, "\0"])
def test_a_name_that_would_reach_others_is_refused(name: str) -> None:
    with pytest.raises(RequestRejected):
        topics.inbox_topic("sluice/v1", name)


@given(names, names)
def test_the_gateway_of_an_own_reply_topic_is_found(gateway: str, worker: str) -> None:
    topic = topics.reply_topic("r/v1", gateway, worker)
    assert topics.gateway_to_answer("r/v1", topic, worker) == gateway
    assert topics.reply_sender(topic) == worker


@given(st.text(alphabet="rv1/gatewyspli+#abc", max_size=60), names)
def test_no_other_topic_is_answered(topic: str, worker: str) -> None:
    try:
        gateway = topics.gateway_to_answer("r/v1", topic, worker)
    except ProtocolViolation:
        return
    assert topics.reply_topic("r/v1", gateway, worker) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "r/v1/gateways/g/replies/other",
        "r/v1/gateways/+/replies/w",
        "r/v1/gateways/a/b/replies/w",
        "r/v1/gateways//replies/w",
        "r/v1/workers/w/status",
        "r/v1/gateways/replies/w",
        "other/gateways/g/replies/w",
        "x/v1/gateways/g/replies/w",
        "r/v1/gateways/g/replies/x",
        "r/v1/gateways/g/replies/w/",
    ],
)
def test_a_worker_answers_only_below_its_own_name(topic: str) -> None:
    with pytest.raises(ProtocolViolation):
        topics.gateway_to_answer("r/v1", topic, "w")


def test_a_status_of_nobody_who_could_be_is_refused() -> None:
    assert topics.status_sender("r/v1/workers/w-1/status") == "w-1"
    with pytest.raises(ProtocolViolation):
        topics.status_sender("r/v1/workers/a b/status")
