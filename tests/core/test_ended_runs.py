"""Ended runs are kept for their readers, within a limit."""

import pytest

from gateway.contract.events import Delta
from gateway.contract.exchanges import Exchange
from gateway.core import ended_runs
from gateway.core.ended_runs import EndedRuns
from gateway.core.run import Run
from gateway.journals.memory import MemoryJournal

EXCHANGE = Exchange(1, "key", "uuid", 1, 2, "uuid", opens_session=False)


def read_by_one(journal: MemoryJournal, stream_id: str) -> Run:
    """Return a reply that ends while somebody reads it, and that nobody may come back to."""
    run = Run(stream_id, "anna", EXCHANGE, resume_url=None, journal=journal.open(stream_id))
    run.journal.append([Delta("Hi")])
    run.readers = 1
    return run


def test_one_that_is_forgotten_while_it_is_read_leaves_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_runs, "MAX_ENDED", 1)
    journal = MemoryJournal()
    ended = EndedRuns(journal, ttl_s=0)
    first, second = read_by_one(journal, "first"), read_by_one(journal, "second")
    reader = journal.follow("first", lambda: None)
    ended.remember(first)
    ended.remember(second)
    assert "first" not in ended
    assert reader.take() == [Delta("Hi")]
    reader.leave()
    ended.deserted(first)
    assert "first" not in journal
    assert "second" in journal
