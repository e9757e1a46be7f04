"""Replies that wait for their worker: for which one, for how long, and what counts. Time is moved by hand."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.contract.errors import (
    ContextExceeded,
    FrameGap,
    GatewayError,
    Interrupted,
    NoWorker,
    ProtocolViolation,
    TimedOut,
    WorkerLost,
)
from gateway.contract.events import Delta, Done
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.requests import ChatRequest, Turn
from tests.transports.mqtt.requests.test_pending_request import Gateway
from transports.mqtt.link.aiomqtt_link import LAST_RETRY_S
from transports.mqtt.protocol.frame_codec import decode_inbox
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    CancelFrame,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    ForgetFrame,
    ReplyFrame,
    ResumeFrame,
    Status,
)
from transports.mqtt.requests.adopted_reply import AdoptedReply
from transports.mqtt.requests.frame_order import HOLE_S, MAX_EARLY_FRAMES
from transports.mqtt.requests.kept_attempt import MAX_REPETITIONS
from transports.mqtt.requests.kept_request import BROKER_BACK_S, WORKER_BACK_S, KeptRequest

KEEPS = Status("ready", incarnation=7, accept_s=2, max=2, keep=True)
REPLY_TO = "r/gateways/gw/replies/a"


class Desk(Gateway):
    """One reply of worker a, and what its readers got."""

    def __init__(self, *statuses: Status) -> None:
        super().__init__(*(statuses or (KEEPS,)))
        self.text = ""
        self.handles: list[Handle] = []
        self.left = False
        self.stored_ids = ["c" * 32]
        self.reattachable = Reattachable(
            self.stored_ids[0], self.handles.append, is_left=lambda: self.left, renew=self._renew
        )

    def begin(self, *texts: str, other_answers: bool = False) -> KeptRequest:
        request = ChatRequest(
            "f" * 32,
            [Turn("user", "hi")],
            deadline_s=120.0,
            reattachable=self.reattachable,
            other_answers=lambda: other_answers,
        )
        reply = KeptRequest(request, self._hear, self.requests, self.clock)
        reply.start()
        self.id = self.attempt_id()
        for number, text in enumerate(texts, 1):
            self.say(ChunkFrame(self.id, number, text))
        return reply

    def adopt(self, epoch: int = 1, find_within_s: float = 10.0) -> AdoptedReply:
        self.id = "1" * 32
        handle = {"worker": "a", "incarnation": 7, "request": self.id}
        asked = Reattach("f" * 32, handle, epoch, 120.0, self.reattachable, find_within_s=find_within_s)
        reply = AdoptedReply(asked, self._hear, self.requests, self.presence, self.clock)
        reply.start()
        return reply

    def lose_worker(self) -> None:
        known = self.presence.find("a")
        assert known is not None
        self.presence.take("a", Status("lost", incarnation=7), retained=False, now=self.clock.time())
        for reply in list(self.requests.open.values()):
            if reply.worker is known:
                reply.worker_lost("it is lost")

    def lose_broker(self) -> None:
        gone = self.presence.forget_all()
        lost = [reply for reply in self.requests.open.values() if reply.worker in gone]
        for reply in dict.fromkeys([*lost, *self.requests.all_waiting()]):
            reply.broker_lost("it is lost")

    def announce(self, incarnation: int = 7, *, retained: bool = False, **settings: Any) -> None:
        status = replace(KEEPS, incarnation=incarnation, **settings)
        self.presence.take("a", status, retained=retained, now=self.clock.time())
        worker = self.presence.find("a")
        assert worker is not None
        self.requests.worker_is_back(worker, is_live=not retained)

    def says(self, *frames: ReplyFrame) -> None:
        for frame in frames:
            self.say(frame)

    def asked(self) -> list[object]:
        return [decode_inbox(payload) for _, payload in self.link.sent[1:]]

    def _renew(self, send: Callable[[str], None]) -> None:
        self.storing = send

    def store_id(self) -> None:
        self.stored_ids.append(f"{len(self.stored_ids)}" * 32)
        self.storing(self.stored_ids[-1])

    def _hear(self, events: object) -> None:
        for event in events:  # type: ignore[attr-defined]
            self.text += event.text if isinstance(event, Delta) else ""


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


async def test_a_gap_before_the_loss_is_filled_by_the_repetition() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.says(ChunkFrame(desk.id, 3, "c"))
    desk.lose_broker()
    desk.announce()
    desk.says(AcceptFrame(desk.id))
    desk.clock.advance(5)
    assert not reply.done.done(), "nothing is missing any more"
    desk.says(*(ChunkFrame(desk.id, n, text) for n, text in enumerate("abc", 1)))
    assert desk.text == "abc"


def hole(desk: Desk) -> None:
    desk.says(ChunkFrame(desk.id, 3, "c"))
    desk.clock.advance(HOLE_S)


def flood(desk: Desk) -> None:
    desk.says(*(ChunkFrame(desk.id, 3 + number, "c") for number in range(MAX_EARLY_FRAMES + 1)))


def silence(desk: Desk) -> None:
    desk.clock.advance(desk.requests.idle_s)


def rubbish(desk: Desk) -> None:
    """As of another client, where the broker lets it."""
    worker = desk.presence.find("a")
    assert worker is not None
    desk.requests.reject(worker, b"{", ProtocolViolation("no JSON"))


@pytest.mark.parametrize("lose", [hole, flood, silence, rubbish])
async def test_lost_frames_are_asked_for_again(lose: Callable[[Desk], None]) -> None:
    desk = Desk()
    reply = desk.begin("a")
    lose(desk)
    assert desk.asked() == [ResumeFrame(desk.id, REPLY_TO)]
    if lose is not silence:
        desk.announce()
        assert len(desk.asked()) == 1, "it has the resume"
    desk.says(AcceptFrame(desk.id), *(ChunkFrame(desk.id, n, text) for n, text in enumerate("abc", 1)))
    desk.says(EndFrame(desk.id, 4, length=3))
    assert await reply.done == Done("stop")
    assert desk.text == "abc"
    worker = desk.presence.find("a")
    assert worker is not None
    assert not worker.record.failures, "not the worker, but its broker lost them"


@pytest.mark.parametrize(
    ("lose", "seconds", "error"),
    [
        (hole, BROKER_BACK_S, FrameGap),
        (flood, BROKER_BACK_S, FrameGap),
        (silence, 60 - 30, TimedOut),
        (rubbish, BROKER_BACK_S, ProtocolViolation),
    ],
)
async def test_frames_that_are_not_sent_again_end_the_reply(
    lose: Callable[[Desk], None], seconds: float, error: type[GatewayError]
) -> None:
    desk = Desk()
    reply = desk.begin("a")
    lose(desk)
    desk.clock.advance(seconds - 0.1)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert type(reply.done.exception()) is error
    assert desk.asked()[1:] == [CancelFrame(desk.id)]


async def test_a_silent_worker_is_asked_again_when_it_is_heard() -> None:
    """The broker may have sent the first resume into a dead connection."""
    desk = Desk()
    reply = desk.begin("a")
    silence(desk)
    for _ in range(3):
        desk.announce()
    assert desk.asked() == 2 * [ResumeFrame(desk.id, REPLY_TO)]
    desk.says(AcceptFrame(desk.id), ChunkFrame(desk.id, 1, "a"), EndFrame(desk.id, 2, length=1))
    assert await reply.done == Done("stop")


async def test_a_worker_that_was_silent_before_it_was_lost_may_have_lost_its_network() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.clock.advance(20)
    desk.lose_worker()
    desk.clock.advance(desk.reattachable.keep_s - 20 - 0.1)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), WorkerLost)


@pytest.mark.parametrize("answer", [AcceptFrame("?"), ErrorFrame("?", "gone", "it is too large")])
async def test_frames_that_the_worker_does_not_have_end_the_reply(answer: ReplyFrame) -> None:
    desk = Desk()
    reply = desk.begin("a")
    hole(desk)
    desk.says(replace(answer, id=desk.id))
    if isinstance(answer, AcceptFrame):
        desk.says(ChunkFrame(desk.id, 1, "a"))
        hole(desk)
    assert isinstance(reply.done.exception(), FrameGap)
    assert len(desk.asked()) == 1 + isinstance(answer, AcceptFrame), "it is not asked twice for one frame"


async def test_a_connection_that_loses_frames_all_the_time_ends_the_reply() -> None:
    desk = Desk()
    reply = desk.begin("a")
    for times in range(MAX_REPETITIONS):
        lost, early = (ChunkFrame(desk.id, 2 + 2 * times + n, "x") for n in (0, 1))
        desk.says(early)
        desk.clock.advance(HOLE_S)
        desk.says(AcceptFrame(desk.id), lost, early)
        assert not reply.done.done()
    desk.says(ChunkFrame(desk.id, 99, "x"))
    desk.clock.advance(HOLE_S)
    assert isinstance(reply.done.exception(), FrameGap)
    assert desk.asked() == [*MAX_REPETITIONS * [ResumeFrame(desk.id, REPLY_TO)], CancelFrame(desk.id)]


async def test_a_frame_that_cannot_be_read_again_ends_the_reply() -> None:
    desk = Desk()
    reply = desk.begin("a")
    rubbish(desk)
    desk.says(AcceptFrame(desk.id), ChunkFrame(desk.id, 1, "a"))
    rubbish(desk)
    assert isinstance(reply.done.exception(), ProtocolViolation)


@pytest.mark.parametrize("lose", [hole, Desk.lose_worker, Desk.lose_broker])
async def test_rubbish_ends_no_reply_that_waits(lose: Callable[[Desk], None]) -> None:
    desk = Desk()
    reply = desk.begin("a")
    lose(desk)
    if lose is not hole:
        desk.announce()
    rubbish(desk)
    desk.says(AcceptFrame(desk.id), ChunkFrame(desk.id, 1, "a"), EndFrame(desk.id, 2, length=1))
    assert await reply.done == Done("stop")


async def test_a_wrong_length_is_not_asked_for_again() -> None:
    desk = Desk()
    reply = desk.begin("a")
    desk.says(EndFrame(desk.id, 2, length=2))
    assert isinstance(reply.done.exception(), FrameGap)


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


async def test_an_adopted_reply_is_looked_for_as_long_as_before_if_the_broker_is_lost() -> None:
    desk = Desk()
    reply = desk.adopt(find_within_s=BROKER_BACK_S + 5)
    desk.lose_broker()
    desk.requests.broker_is_back()
    desk.clock.advance(BROKER_BACK_S + 4)
    assert not reply.done.done()
    desk.clock.advance(1)
    assert isinstance(reply.done.exception(), Interrupted)


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


async def test_an_adopted_reply_waits_for_its_worker_and_no_longer_than_that() -> None:
    desk = Desk()
    desk.presence.forget_all()
    reply = desk.adopt(find_within_s=3.0)
    desk.clock.advance(2.9)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), Interrupted)


async def test_an_adopted_reply_with_a_refused_resume_is_interrupted() -> None:
    desk = Desk()
    reply = desk.adopt()
    desk.says(ErrorFrame(desk.id, "unknown"))
    assert isinstance(reply.done.exception(), Interrupted)


async def test_an_adopted_reply_is_not_received_twice() -> None:
    desk = Desk()
    desk.adopt()
    with pytest.raises(Interrupted):
        desk.adopt(epoch=2)


async def test_the_cancel_has_the_epoch_and_is_not_sent_when_another_gateway_has_the_reply() -> None:
    desk = Desk()
    desk.adopt(epoch=3).leave()
    assert desk.asked() == [CancelFrame(desk.id, epoch=3)]
    desk.left = True
    desk.adopt(epoch=3).leave()
    assert len(desk.asked()) == 2, "only the resume"


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


async def test_repeated_frames_do_not_count_for_the_size_of_a_reply() -> None:
    desk = Desk()
    reply = desk.begin()
    text = "x" * 1_000
    for _ in range(20):
        for number in range(1, 3):
            reply.take("a", ChunkFrame(desk.id, number, text), 4 * 2**20)
    assert not reply.done.done()
    assert desk.text == 2 * text
