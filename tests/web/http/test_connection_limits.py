"""Clients never use up the files that the process may have open."""

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.contract.errors import Overloaded
from gateway.contract.open_files import descriptor_limit, raise_descriptor_limit
from gateway.web.http.connection_limits import MAX_SILENT, Arrivals


class Silent:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(clock: Clock) -> Arrivals:
    return Arrivals(1024, clock)


@contextmanager
def soft_limit(descriptors: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with soft_limit(256):
        raise_descriptor_limit()
        assert descriptor_limit() == min(hard, 1_048_576) if hard > 0 else 1_048_576


def test_a_quarter_of_the_descriptors_is_kept_back(arrivals: Arrivals) -> None:
    arrivals.arrive(Silent(), 767, "10.0.0.1")
    with pytest.raises(Overloaded) as refused:
        arrivals.arrive(Silent(), 768, "10.0.0.1")
    assert refused.value.retry_after_s is not None


def test_refusals_are_logged_once_a_minute(
    arrivals: Arrivals, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for now in (0.0, 1.0, 59.0, 61.0):
        clock.now = now
        with pytest.raises(Overloaded), caplog.at_level(logging.WARNING):
            arrivals.arrive(Silent(), 1000, "10.0.0.1")
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" ")[0] for line in told] == ["1", "3"]
    assert "LimitNOFILE" in told[0]


def test_an_address_with_too_many_silent_connections_loses_its_oldest(
    arrivals: Arrivals, clock: Clock
) -> None:
    silent = [Silent() for _ in range(MAX_SILENT + 2)]
    for connection in silent[:MAX_SILENT]:
        arrivals.arrive(connection, 10, "10.0.0.1")
    clock.now = 1.0
    for connection in silent[MAX_SILENT:]:
        arrivals.arrive(connection, 10, "10.0.0.1")
    assert [connection.aborted for connection in silent[:4]] == [True, True, False, False]


def test_who_has_asked_something_or_comes_from_elsewhere_is_not_counted(
    arrivals: Arrivals, clock: Clock
) -> None:
    first, asked, elsewhere = Silent(), Silent(), Silent()
    arrivals.arrive(first, 10, "10.0.0.1")
    arrivals.arrive(asked, 10, "10.0.0.2")
    arrivals.forget(asked, "10.0.0.2")
    arrivals.arrive(elsewhere, 10, "10.0.0.2")
    clock.now = 2.0
    for _ in range(MAX_SILENT - 1):
        arrivals.arrive(Silent(), 10, "10.0.0.1")
        arrivals.arrive(Silent(), 10, "10.0.0.2")
    assert not any(connection.aborted for connection in (first, asked, elsewhere))


def test_many_may_connect_at_the_same_moment(arrivals: Arrivals) -> None:
    silent = [Silent() for _ in range(4 * MAX_SILENT)]
    for connection in silent:
        arrivals.arrive(connection, 10, "10.0.0.1")
    assert not any(connection.aborted for connection in silent)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::5", "2001:db8:1:2:ffff::6%eth0", True),
        ("2001:db8:1:2::5", "2001:db8:1:3::5", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
    ],
)
def test_an_ipv6_address_is_one_of_a_network(
    arrivals: Arrivals, clock: Clock, one: str, other: str, same: bool
) -> None:
    first = Silent()
    arrivals.arrive(first, 10, one)
    clock.now = 2.0
    for _ in range(MAX_SILENT):
        arrivals.arrive(Silent(), 10, other)
    assert first.aborted is same
