"""When a client counts as one that takes nothing."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from gateway.web.http.slow_readers import SendDeadline, SlowReaders


class Line:
    """A transport, its socket, and the loop whose timers are fired by hand."""

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self.aborted = False
        self.lingers: bytes | None = None
        self.timers: list[Callable[[], None]] = []

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def get_extra_info(self, name: str) -> "Line":
        assert name == "socket"
        return self

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        self.lingers = value

    def abort(self) -> None:
        self.aborted = True

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> "Line":
        assert delay_s == 20
        self.timers.append(callback)
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def pass_time(self) -> None:
        (timer,) = self.timers
        self.timers.clear()
        timer()


@pytest.fixture
def line() -> Any:
    return Line()


def test_a_client_that_takes_nothing_is_cut_off_at_once_and_counted(line: Any) -> None:
    slow_readers = SlowReaders(20)
    deadline = SendDeadline(line, line, slow_readers)
    line.waiting_bytes = 70_000
    deadline.begin()
    deadline.begin()
    line.pass_time()
    assert line.aborted
    assert line.lingers is not None
    assert slow_readers.cut == 1


def test_a_client_that_is_slow_but_takes_something_is_waited_for(line: Any) -> None:
    deadline = SendDeadline(line, line, SlowReaders(20))
    line.waiting_bytes = 70_000
    deadline.begin()
    while line.waiting_bytes > 10_000:
        line.waiting_bytes -= 1_000
        line.pass_time()
        assert not line.aborted
    line.pass_time()
    assert line.aborted


def test_a_client_that_has_caught_up_is_left_alone(line: Any) -> None:
    slow_readers = SlowReaders(20)
    deadline = SendDeadline(line, line, slow_readers)
    line.waiting_bytes = 70_000
    deadline.begin()
    deadline.end()
    assert line.timers == []
    deadline.begin()
    line.waiting_bytes = 0
    line.pass_time()
    assert (line.timers, line.aborted, slow_readers.cut) == ([], False, 0)
