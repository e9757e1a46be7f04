"""The last hour by minute, and the latest failures: bounded, and forgotten in time."""

from gateway.contract.events import Usage
from gateway.contract.record import replace
from gateway.telemetry.advice import OTHER, advice_for
from gateway.telemetry.last_hour import MAX_FAILURES, MINUTES, LastHour
from tests.telemetry.test_reply_totals import ENDED

FAILED = replace(ENDED, reason="upstream_error", error_code="unreachable", usage=None, first_s=None)


def test_replies_are_added_up_by_the_minute_of_their_end() -> None:
    now = 1000.0
    hour = LastHour(clock=lambda: now)
    hour.add(replace(ENDED, usage=Usage(7, 3, 10, 20.0)))
    hour.add(FAILED)
    hour.add(replace(ENDED, generated=False))
    now = 1030.0
    hour.add(replace(ENDED, usage=Usage(7, 5, 12, 40.0), first_s=1.5))

    first, second = hour.minutes()

    assert (first.at, first.replies, dict(first.errors), first.tokens) == (960, 3, {"upstream_error": 1}, 3)
    assert (first.first_s, first.firsts, first.rate, first.rates) == (0.5, 1, 20.0, 1)
    assert (second.at, second.replies, second.tokens, second.first_s) == (1020, 1, 5, 1.5)
    assert [(failure.at, failure.ended) for failure in hour.failures] == [(1000.0, FAILED)]


def test_what_is_older_than_an_hour_is_left_out_and_memory_is_bounded() -> None:
    now = 0.0
    hour = LastHour(clock=lambda: now)
    for minute in range(3 * MINUTES):
        now = 60.0 * minute
        hour.add(FAILED)
    assert len(hour.minutes()) == MINUTES
    assert len(hour.failures) == MAX_FAILURES
    assert hour.failures[0].at == now
    now += 30 * 60
    assert len(hour.minutes()) == MINUTES - 30
    now += 3600
    assert hour.minutes() == []


def test_replies_are_added_to_the_present_minute_also_after_the_clock_was_set_back() -> None:
    now = 7200.0
    hour = LastHour(clock=lambda: now)
    hour.add(ENDED)
    now = 3600.0
    hour.add(FAILED)
    now = 3660.0
    hour.add(ENDED)
    assert [(minute.at, minute.replies) for minute in hour.minutes()] == [(3600, 1), (3660, 1)]


def test_every_failure_has_an_advice() -> None:
    assert "LLM_SERVER_URL" in advice_for("unreachable")
    assert advice_for("something new") == OTHER
