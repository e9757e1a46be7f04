"""Replies that wait for their worker: for which one, for how long, and what counts."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.contract.errors import (
    ContextExceeded,
    NoWorker,
    TimedOut,
    WorkerLost,
)
from gateway.contract.events import Done
from tests.transports.mqtt.requests.kept_desk import KEEPS, REPLY_TO, Desk, silence
from transports.mqtt.link.aiomqtt_link import LAST_RETRY_S
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    CancelFrame,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    ForgetFrame,
    ResumeFrame,
    Status,
)
from transports.mqtt.requests.kept_request import BROKER_BACK_S, WORKER_BACK_S


async def test_each_character_comes_once_after_a_lost_worker() -> None:
    desk = Desk()
    reply = desk.begin("a", "b")
    desk.lose_worker()
    desk.announce()
    assert desk.asked() == [ResumeFrame(desk.id, REPLY_TO)]
    desk.says(AcceptFrame(desk.id), *(ChunkFrame(desk.id, n, text) for n, text in enumerate("abc", 1)))
    desk.says(EndFrame(desk.id, 4, length=3))
    assert await reply.done == Done("stop")
    assert desk.text == "abc"


@pytest.mark.parametrize("lose", [Desk.lose_worker, Desk.lose_broker])
async def test_a_worker_that_announces_each_change_is_asked_once_while_it_stays(
    lose: Callable[[Desk], None],
) -> None:
    """Each time it would send all frames again: with many replies, more than the broker holds."""
    desk = Desk()
    desk.begin("a")
    for times in (1, 2):
        lose(desk)
        for _ in range(5):
            desk.announce()
        assert desk.asked() == times * [ResumeFrame(desk.id, REPLY_TO)]


async def test_a_worker_that_was_known_by_a_retained_status_alone_is_asked_again() -> None:
    desk = Desk()
    desk.begin("a")
    desk.lose_broker()
    for retained in (True, True, False, False):
        desk.announce(retained=retained)
    assert desk.asked() == 2 * [ResumeFrame(desk.id, REPLY_TO)]


async def test_frames_before_the_accept_of_the_own_epoch_do_not_count() -> None:
    desk = Desk(Status("ready", incarnation=7, keep=True))
    reply = desk.adopt(epoch=2)
    desk.says(ChunkFrame(desk.id, 9, "x"), AcceptFrame(desk.id), AcceptFrame(desk.id, epoch=1))
    desk.says(ErrorFrame(desk.id, "upstream_error"), ChunkFrame(desk.id, 1, "y"))
    assert not reply.done.done()
    desk.says(AcceptFrame(desk.id, epoch=2), ChunkFrame(desk.id, 1, "a"), EndFrame(desk.id, 2, length=1))
    assert await reply.done == Done("stop")
    assert desk.text == "a"
    assert desk.handles == [], "it is stored already"


async def test_a_worker_that_was_silent_before_it_was_lost_may_have_lost_its_network() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.clock.advance(20)
    desk.lose_worker()
    desk.clock.advance(desk.reattachable.keep_s - 20 - 0.1)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), WorkerLost)


async def test_it_does_not_wait_for_ever_for_a_worker() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.lose_worker()
    desk.clock.advance(WORKER_BACK_S - 0.1)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), WorkerLost)
    assert desk.requests.waiting == {}


@pytest.mark.parametrize("is_adopted", [False, True])
async def test_it_waits_for_a_broker_as_long_as_the_worker_keeps_the_reply(is_adopted: bool) -> None:
    desk = Desk()
    reply = desk.adopt() if is_adopted else desk.begin("a")
    desk.says(AcceptFrame(desk.id, epoch=1))
    desk.lose_broker()
    desk.clock.advance(desk.reattachable.keep_s - 0.1)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), WorkerLost)
    assert desk.requests.waiting == {}, "no reply is left there"


def lose_and_store(desk: Desk) -> None:
    desk.lose_broker()
    desk.store_id()


@pytest.mark.parametrize(("lose", "error"), [(lose_and_store, NoWorker), (silence, TimedOut)])
async def test_unseen_it_waits_for_nobody_if_another_transport_would_answer(
    lose: Callable[[Desk], None], error: type[Exception]
) -> None:
    desk = Desk()
    reply = desk.begin(other_answers=True)
    desk.says(AcceptFrame(desk.id))
    lose(desk)
    assert isinstance(reply.done.exception(), error)


async def test_once_seen_it_waits_also_if_another_transport_would_answer() -> None:
    desk = Desk()
    reply = desk.begin("a", other_answers=True)
    desk.lose_broker()
    assert not reply.done.done()


async def test_a_broker_that_is_back_without_the_worker_ends_the_wait_soon() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.lose_broker()
    desk.clock.advance(20)
    desk.requests.broker_is_back()
    desk.clock.advance(BROKER_BACK_S - 0.1)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), WorkerLost)


async def test_a_broker_that_is_back_late_does_not_prolong_the_wait() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.lose_broker()
    desk.clock.advance(desk.reattachable.keep_s - 1)
    desk.requests.broker_is_back()
    desk.clock.advance(1)
    assert isinstance(reply.done.exception(), WorkerLost)


async def test_a_broker_that_is_lost_again_prolongs_the_wait() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.lose_broker()
    for _ in range(3):
        desk.requests.broker_is_back()
        desk.clock.advance(BROKER_BACK_S - 0.1)
        desk.lose_broker()
    desk.announce()
    desk.says(AcceptFrame(desk.id), ChunkFrame(desk.id, 1, "a"), EndFrame(desk.id, 2, length=1))
    assert await reply.done == Done("stop")


def test_a_link_is_up_again_before_its_replies_are_given_up() -> None:
    assert 3 * LAST_RETRY_S < BROKER_BACK_S


async def test_a_status_alone_does_not_prolong_the_wait() -> None:
    desk = Desk()
    reply = desk.begin("a")
    for _ in range(4):
        desk.lose_worker()
        desk.announce()
        desk.clock.advance(1)
    assert isinstance(reply.done.exception(), WorkerLost)


@pytest.mark.parametrize("code", ["unknown", "gone"])
async def test_a_refused_resume_ends_the_reply_and_nothing_is_cancelled(code: str) -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.lose_worker()
    desk.announce()
    desk.says(ErrorFrame(desk.id, code, "no"))
    assert isinstance(reply.done.exception(), WorkerLost)
    assert desk.asked() == [ResumeFrame(desk.id, REPLY_TO)]


async def test_a_later_start_of_the_worker_has_nothing_and_an_earlier_status_is_old() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.lose_worker()
    desk.announce(6)
    assert not reply.done.done()
    assert desk.asked() == []
    desk.announce(8)
    assert isinstance(reply.done.exception(), WorkerLost)


async def test_without_text_another_worker_is_asked_at_once_and_the_first_gets_its_cancel_later() -> None:
    desk = Desk(KEEPS, KEEPS)
    reply = desk.begin()
    first = desk.id
    desk.say(AcceptFrame(first))
    desk.lose_worker()
    desk.store_id()
    assert desk.sent == [("a", "RequestFrame"), ("a", "CancelFrame"), ("b", "RequestFrame")]
    desk.announce()
    assert desk.asked()[-1] == CancelFrame(first)
    assert not reply.done.done()


async def test_each_attempt_has_an_id_that_was_stored_before_its_request_is_sent() -> None:
    """Else the next owner cannot find a reply whose gateway dies before it has stored the worker."""
    desk = Desk(replace(KEEPS, heartbeat_s=10, max=1))
    desk.begin()
    for times in range(1, 4):
        desk.say(ErrorFrame(desk.id, "overloaded", "it is full", retryable=True))
        desk.announce(heartbeat_s=10)
        desk.dispatch.serve()
        assert len(desk.requests.open) == 0, "the worker has room, but the next id is not stored yet"
        desk.store_id()
        desk.id = desk.attempt_id()
        assert (desk.id, len(desk.stored_ids)) == (desk.stored_ids[-1], times + 1)


async def test_a_refusal_is_dropped_by_the_worker_if_a_shorter_request_may_follow() -> None:
    desk = Desk()
    reply = desk.begin()
    desk.say(ErrorFrame(desk.id, "context_length_exceeded", "it is too long", retryable=False))
    assert isinstance(reply.done.exception(), ContextExceeded)
    assert desk.asked() == [ForgetFrame(desk.id)]


async def test_a_reply_that_ended_while_its_next_id_was_stored_is_not_asked_for() -> None:
    desk = Desk(KEEPS, KEEPS)
    reply = desk.begin()
    desk.say(ErrorFrame(desk.id, "upstream_error", "no", retryable=True))
    desk.clock.advance(120)
    assert isinstance(reply.done.exception(), TimedOut)
    desk.store_id()
    assert desk.sent == [("a", "RequestFrame")]


async def test_a_worker_that_keeps_nothing_gets_no_stored_id() -> None:
    desk = Desk(replace(KEEPS, keep=False), replace(KEEPS, keep=False))
    desk.begin()
    desk.say(ErrorFrame(desk.id, "upstream_error", "no", retryable=True))
    assert desk.attempt_id() not in desk.stored_ids
    assert len(desk.stored_ids) == 1, "it was not used"


async def test_places_at_the_worker_are_counted_once() -> None:
    desk = Desk()
    reply = desk.begin("a")
    for _ in range(3):
        desk.lose_worker()
        desk.announce()
        desk.says(AcceptFrame(desk.id))
    worker = desk.presence.find("a")
    assert worker is not None
    assert worker.open == 1
    reply.leave()
    assert worker.open == 0
