"""A transport that keeps failing is suspended for a while, and then one request at a time tries it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from gateway.contract.errors import (
    Loading,
    ModelRefused,
    NoWorker,
    Overloaded,
    Unavailable,
    Unreachable,
    UpstreamFailed,
    WorkerLost,
)
from gateway.core.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("sse", failures=3, open_s=15, clock=clock)


def state(breaker: Breaker) -> str:
    return breaker.state


def fail(breaker: Breaker, error: BaseException | None = None) -> None:
    """One request that ends with this error."""
    error = error or Unreachable("nobody is there")
    with pytest.raises(type(error)), breaker.trial():
        raise error


def opened(breaker: Breaker) -> Breaker:
    for _ in range(3):
        fail(breaker)
    return breaker


@contextmanager
def probing(breaker: Breaker, clock: Clock) -> Iterator[None]:
    """While a request tries it that has heard nothing yet; in the end it is stopped."""
    opened(breaker)
    clock.now = 15
    with suppress(asyncio.CancelledError), breaker.trial():
        yield
        raise asyncio.CancelledError


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    assert state(breaker) == "closed"
    fail(breaker)
    assert state(breaker) == "open"


def test_an_answer_in_between_begins_the_count_again(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    with breaker.trial():
        pass
    fail(breaker)
    fail(breaker)
    assert state(breaker) == "closed"


def test_open_it_lets_nobody_through_and_says_when_and_why(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = 5
    with pytest.raises(Unavailable, match="3 failures in a row: nobody is there") as refusal:
        breaker.check()
    assert refusal.value.retry_after_s == 10
    with pytest.raises(Unavailable), breaker.trial():
        pytest.fail("let through")


def test_after_its_time_one_request_tries_and_the_others_are_refused(breaker: Breaker, clock: Clock) -> None:
    with probing(breaker, clock):
        assert state(breaker) == "half-open"
        with pytest.raises(Unavailable) as refusal:
            breaker.check()
        assert refusal.value.retry_after_s == 1
        with pytest.raises(Unavailable), breaker.trial():
            pytest.fail("let through")


def test_an_answer_to_the_one_that_tries_closes_it_at_once(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = 15
    with breaker.trial() as answered:
        answered()
        assert state(breaker) == "closed"
    fail(breaker)
    assert state(breaker) == "closed"


def test_a_failure_of_the_one_that_tries_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = 15
    fail(breaker)
    assert state(breaker) == "open"
    clock.now = 29.9
    assert state(breaker) == "open"
    clock.now = 30
    assert state(breaker) == "half-open"


NO_VERDICTS = [
    asyncio.CancelledError(),
    ModelRefused("too long"),
    NoWorker("nobody"),
    Overloaded("full"),
    Loading("soon"),
    ZeroDivisionError(),
]


@pytest.mark.parametrize("error", NO_VERDICTS, ids=lambda error: type(error).__name__)
def test_what_is_no_verdict_counts_for_nothing(breaker: Breaker, clock: Clock, error: BaseException) -> None:
    for _ in range(5):
        fail(breaker, error)
    assert state(breaker) == "closed"
    fail(breaker)
    fail(breaker)
    fail(breaker, error)
    fail(breaker)
    assert state(breaker) == "open"


@pytest.mark.parametrize("error", NO_VERDICTS, ids=lambda error: type(error).__name__)
def test_what_is_no_verdict_frees_the_place_of_the_one_that_tries(
    breaker: Breaker, clock: Clock, error: BaseException
) -> None:
    opened(breaker)
    clock.now = 15
    fail(breaker, error)
    assert state(breaker) == "half-open"
    breaker.check()


def test_a_reply_that_breaks_after_it_was_seen_is_no_failure(breaker: Breaker) -> None:
    for _ in range(5):
        with suppress(WorkerLost), breaker.trial() as answered:
            answered()
            raise WorkerLost("gone in the middle")
    assert state(breaker) == "closed"


def test_an_answer_from_before_it_opened_closes_nothing(breaker: Breaker, clock: Clock) -> None:
    with breaker.trial() as answered:
        opened(breaker)
        answered()
        assert state(breaker) == "open"


def test_a_failure_from_before_it_opened_does_not_disturb_the_one_that_tries(
    breaker: Breaker, clock: Clock
) -> None:
    early = breaker.trial()
    early.__enter__()
    with probing(breaker, clock):
        early.__exit__(None, Unreachable("late"), None)
        assert state(breaker) == "half-open"
        with pytest.raises(Unavailable):
            breaker.check()


def test_each_change_is_one_line_of_the_log(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    opened(breaker)
    with pytest.raises(Unavailable), breaker.trial():
        pytest.fail("let through")
    clock.now = 15
    fail(breaker, asyncio.CancelledError())
    fail(breaker)
    clock.now = 30
    with breaker.trial():
        pass
    assert caplog.messages == [
        "sse failed 3 times in a row and is suspended for 15 s: nobody is there",
        "sse is tested with one request",
        "sse failed 4 times in a row and is suspended for 15 s: nobody is there",
        "sse is tested with one request",
        "sse answers again",
    ]


def broke_off() -> UpstreamFailed:
    error = UpstreamFailed("the connection broke")
    error.broke_off = 1
    return error


def test_a_connection_that_broke_over_a_request_is_no_verdict(breaker: Breaker) -> None:
    for _ in range(9):
        fail(breaker, broke_off())
    assert state(breaker) == "closed"


def test_it_is_one_when_another_transport_answered_the_same_request(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker, broke_off())
        breaker.blame(broke_off())
    assert state(breaker) == "open"


def test_blame_opens_a_half_open_breaker_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = 15
    fail(breaker, broke_off())
    assert state(breaker) == "half-open"
    breaker.blame(broke_off())
    assert state(breaker) == "open"


def test_a_reply_that_fails_after_something_was_seen_is_no_failure(breaker: Breaker) -> None:
    for _ in range(3):
        with suppress(Unreachable), breaker.trial() as answered:
            answered()
            raise Unreachable("it broke in the middle")
    assert state(breaker) == "closed"
    fail(breaker)
    fail(breaker)
    assert state(breaker) == "closed"


def test_blame_counts_and_is_named(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    breaker.blame(UpstreamFailed("the connection broke"))
    with pytest.raises(Unavailable, match="after 3 failures in a row: the connection broke"):
        breaker.check()


def test_blame_while_it_is_open_makes_the_pause_no_longer(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = 14
    breaker.blame(UpstreamFailed("the connection broke"))
    clock.now = 15
    assert state(breaker) == "half-open"
