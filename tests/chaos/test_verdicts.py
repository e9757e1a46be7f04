"""The campaign finds each broken promise."""

from typing import Any

import pytest

from gateway.contract.record import replace
from tests.chaos.model_program import note_of
from tests.chaos.plan import Fault
from tests.chaos.readers import Heard
from tests.chaos.records import Row
from tests.chaos.verdicts import Tally, judged

TEXT = "0river 1boat 2lamp"
KILLED: Fault = "gateway killed, started again"
WHOLE = Row("s", "complete", "stop", TEXT, epoch=1)
DONE = {"type": "done", "reason": "stop"}


def heard(*pieces: str, ends: tuple[dict[str, Any], ...] = (DONE,), **more: Any) -> Heard:
    reply = Heard(TEXT, **{"resumable": True, "stream_id": "s", **more})
    reply.source.told += [{"type": "chunk", "content": piece} for piece in pieces]
    reply.source.told += ends
    return reply


def verdict(reply: Heard, row: Row | None = WHOLE, asked: int = 1, fault: Fault = KILLED) -> Tally:
    return judged(fault, [reply], {} if row is None else {"s": row}, {note_of(reply.grammar): asked})


def test_a_whole_reply_is_complete() -> None:
    for reply in (heard(TEXT), heard("0river 1", "boat 2lamp")):
        tally = verdict(reply)
        assert (tally.complete, tally.taken_over, tally.wrong) == (1, 1, [])


def error(reason: str) -> dict[str, Any]:
    return {"type": "error", "reason": reason}


@pytest.mark.parametrize(
    ("reply", "row", "problem"),
    [
        (heard(TEXT), None, "not in the database"),
        (heard(TEXT), replace(WHOLE, status="streaming"), "its row has no end"),
        (heard("0river 2lamp"), WHOLE, "heard another text"),
        (heard("0river 1boat 1boat 2lamp"), WHOLE, "heard another text"),
        (heard("0river 1boat"), replace(WHOLE, content="0river 1boat"), "ended early"),
        (heard("0river 2"), replace(WHOLE, content="0river 2"), "another text than the model made"),
        (heard(TEXT, ends=()), WHOLE, "heard 0 ends"),
        (heard(TEXT, ends=(DONE, DONE)), WHOLE, "heard 2 ends"),
        (heard(TEXT, ends=(error("storage_failed"),)), WHOLE, "heard error, storage_failed"),
        (heard(TEXT), replace(WHOLE, status="failed", reason="storage_failed"), "heard done, stop"),
        (heard(TEXT, hung=True), WHOLE, "no end for its client"),
        (heard(TEXT, refusals=[400]), WHOLE, "refused with [400]"),
        (heard(stream_id=None, hung=True, ends=()), WHOLE, "no gateway accepted it"),
        (heard("0", ends=(), resumable=False), replace(WHOLE, status="streaming"), "its row has no end"),
        (heard("0river", resumable=False), WHOLE, "done, but"),
        (heard("1", ends=(), resumable=False), WHOLE, "another text than the model made"),
    ],
)
def test_a_broken_promise_is_found(reply: Heard, row: Row | None, problem: str) -> None:
    (wrong,) = verdict(reply, row).wrong
    assert problem in wrong


def test_a_reply_is_generated_once() -> None:
    for reply in (heard(TEXT), heard("0", ends=(), resumable=False)):
        (wrong,) = verdict(reply, asked=2).wrong
        assert "generated 2 times" in wrong
    (wrong,) = verdict(heard(TEXT), asked=0).wrong
    assert "no model server was asked" in wrong


def test_a_lost_worker_excuses_an_end_and_another_try() -> None:
    lost = replace(WHOLE, status="failed", reason="worker_lost", content="0river")
    reply = heard("0river", ends=(error("worker_lost"),))
    tally = verdict(reply, lost, asked=2, fault="worker killed, started again")
    assert (tally.early, tally.again, tally.wrong) == ({"worker_lost": 1}, 1, [])
    (wrong,) = verdict(reply, lost).wrong
    assert "ended early" in wrong


@pytest.mark.parametrize("reason", ["interrupted", "upstream_error", "shutdown"])
def test_a_question_that_no_model_server_got_may_fail(reason: str) -> None:
    nothing = replace(WHOLE, status="failed", reason=reason, content="")
    reply = heard(ends=(error(reason),))
    assert (verdict(reply, nothing, asked=0).unasked, verdict(reply, nothing, asked=0).wrong) == (1, [])
    (wrong,) = verdict(reply, nothing, asked=1).wrong
    assert "ended early" in wrong


def test_a_client_may_have_more_of_an_interrupted_reply_than_the_database() -> None:
    kept = replace(WHOLE, status="interrupted", reason="interrupted", content="0river")
    ahead = heard("0river 1boat", ends=(error("interrupted"),))
    assert verdict(ahead, kept, fault="worker killed, started again").wrong == []


def test_after_a_killed_broker_only_a_classic_reply_may_be_asked_for_again() -> None:
    fault: Fault = "broker killed, started again"
    assert verdict(heard(TEXT, resumable=False), asked=2, fault=fault).wrong == []
    (wrong,) = verdict(heard(TEXT), asked=2, fault=fault).wrong
    assert "generated 2 times" in wrong
