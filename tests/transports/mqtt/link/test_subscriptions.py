"""Which filters a broker is asked for, and where a message goes."""

import pytest

from transports.mqtt.link.subscriptions import Subscriptions


def ignore(topic: str, payload: bytes, retained: bool) -> None:
    pass


def test_a_groups_filter_is_shared_where_the_broker_can() -> None:
    subscriptions = Subscriptions()
    subscriptions.add("r/devices/+/up", ignore, "gateways")
    subscriptions.add("r/devices/+/cancel", ignore)
    assert subscriptions.filters(shared=True) == [
        ("$share/gateways/r/devices/+/up", 1),
        ("r/devices/+/cancel", 1),
    ]
    assert subscriptions.filters(shared=False) == [("r/devices/+/up", 1), ("r/devices/+/cancel", 1)]


def test_the_broker_can_be_asked_for_no_acknowledgements() -> None:
    subscriptions = Subscriptions(qos=0)
    subscriptions.add("r/devices/+/up", ignore, "gateways")
    assert subscriptions.filters(shared=True) == [("$share/gateways/r/devices/+/up", 0)]


def test_a_message_goes_to_its_one_handler_with_or_without_a_group() -> None:
    heard: list[str] = []
    subscriptions = Subscriptions()
    subscriptions.add("r/devices/+/up", lambda topic, *_: heard.append(f"up {topic}"), "gateways")
    subscriptions.add("r/devices/+/cancel", lambda topic, *_: heard.append(f"cancel {topic}"))
    for topic in ("r/devices/a/up", "r/devices/a/cancel", "r/devices/a/status"):
        subscriptions.dispatch(topic, b"", False)
    assert heard == ["up r/devices/a/up", "cancel r/devices/a/cancel"]


def test_a_handler_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(topic: str, payload: bytes, retained: bool) -> None:
        raise ZeroDivisionError

    subscriptions = Subscriptions()
    subscriptions.add("r/+/x", fail)
    subscriptions.dispatch("r/a/x", b"", False)
    assert "the handler of r/a/x failed" in caplog.text
