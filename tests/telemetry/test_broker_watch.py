"""The broker's state, and lost connections."""

from gateway.telemetry.broker_watch import BrokerWatch


def test_only_a_connection_that_was_there_is_lost() -> None:
    watch = BrokerWatch()
    seen: list[tuple[bool, int]] = []
    for connected in (False, True, False, False, True):
        watch.changed(connected)
        seen.append((watch.connected, watch.lost))
    assert seen == [(False, 0), (True, 0), (False, 1), (False, 1), (True, 1)]
