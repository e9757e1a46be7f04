"""The log line about a gateway that lives and does not answer at its INTERNAL_URL."""

import logging
from typing import Any

import pytest

from gateway.contract.reply_owners import ReplyOwner
from gateway.web.relay.absent_owners import REPLACED_S, AbsentOwners

OWNER = ReplyOwner("east/1", "http://127.0.0.1:1", False)


class Watch:
    """Owners of a test, the time, and the lines in the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        self.absent = AbsentOwners(lambda: self.now)
        self._log = caplog

    def fail(self, *, after_s: float = 0.0) -> None:
        self.now += after_s
        self.absent.failed(OWNER)

    def lines(self) -> list[Any]:
        return [record.getMessage() for record in self._log.records if record.levelno == logging.WARNING]


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture) -> Watch:
    return Watch(caplog)


def test_it_is_logged_once_when_a_dead_one_would_have_been_replaced(watch: Watch) -> None:
    watch.fail()
    watch.fail(after_s=REPLACED_S - 1)
    assert watch.lines() == []
    watch.fail(after_s=1)
    watch.fail(after_s=100)
    (line,) = watch.lines()
    assert line.startswith(
        "gateway east lives, and this one gets no answer at its INTERNAL_URL http://127.0.0.1:1"
    )


def test_one_that_answers_meanwhile_is_not_logged(watch: Watch) -> None:
    watch.fail()
    watch.absent.answered(OWNER)
    watch.fail(after_s=REPLACED_S)
    assert watch.lines() == []


def test_one_that_died_is_not_logged(watch: Watch) -> None:
    watch.fail()
    watch.absent.forget(["east/1", "west/1"])
    watch.fail(after_s=REPLACED_S)
    assert watch.lines() == []
