"""The clock that gateways on one database share."""

from gateway.store.database_clock import DatabaseClock


def test_a_clock_that_agrees_is_not_corrected() -> None:
    clock = DatabaseClock(lambda: 1000.0)
    clock.learn(1000.3, asked_at=1000.0, answered_at=1000.5)
    assert clock() == 1000.0


def test_one_that_differs_is_corrected_by_as_little_as_possible() -> None:
    clock = DatabaseClock(lambda: 1000.0)
    clock.learn(4600.0, asked_at=999.5, answered_at=1000.0)
    assert clock() == 4600.0
    clock.learn(4600.2, asked_at=1000.0, answered_at=1000.5)
    assert clock() == 4600.0
    clock.learn(1000.0, asked_at=1000.0, answered_at=1000.5)
    assert clock() == 1000.0
    assert clock.utc().timestamp() == 1000.0
