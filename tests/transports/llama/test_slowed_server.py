"""The demo's model server can stream slowly, so that a person sees the words come."""

from argparse import Namespace

import pytest

from transports.llama.server_program import SlowedServer, slowed

STREAM = [
    b'data: {"choices":[{"delta":{"content":"a"}}]}\n',
    b"\n",
    b'data: {"choices":[{"delta":{"content":"b"}}]}\n',
    b"\n",
    b": ping\n",
    b'data: {"choices":[],"timings":{"predicted_ms":1.5,"predicted_per_second":6012.75,"n":2}}\n',
    b"\n",
    b"data: [DONE]\n",
]


class Time:
    """A clock that only sleeping moves; slept: how long each time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


def test_there_is_one_pause_behind_each_event_and_nothing_else_changes() -> None:
    time = Time()
    lines = list(slowed(STREAM[:5], 40, clock=time.clock, sleep=time.sleep))
    assert lines == STREAM[:5]
    assert time.slept == [0.025, 0.025]


def test_time_that_went_by_anyway_is_no_pause() -> None:
    time = Time()
    lines = slowed(STREAM, 40, clock=time.clock, sleep=time.sleep)
    next(lines)
    time.now += 0.015  # the reader was slow
    next(lines)
    next(lines)
    assert time.slept == [0.01]


def test_the_rate_that_is_reported_is_the_one_that_is_seen() -> None:
    time = Time()
    last = list(slowed(STREAM, 40, clock=time.clock, sleep=time.sleep))[5]
    assert last == b'data: {"choices":[],"timings":{"predicted_ms":1.5,"predicted_per_second":40,"n":2}}\n'


def test_who_gets_it_again_does_not_wait_again() -> None:
    time = Time()
    began = time.now - 0.06  # at 40 a second, two events were due
    lines = list(slowed(4 * STREAM[:2], 40, began, clock=time.clock, sleep=time.sleep))
    assert lines == 4 * STREAM[:2]
    assert time.slept == [0.015, 0.025]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_listens_at_addresses_of_both_kinds(host: str) -> None:
    with SlowedServer(Namespace(host=host, port=0, tokens_per_s=40)) as server:
        assert server.server_address[0] == host
