"""One reply's deadlines and retries, with a clock that the test moves and workers that are only topics."""

import asyncio

import pytest

from gateway.contract.errors import (
    FrameGap,
    GatewayError,
    Loading,
    ModelRefused,
    Overloaded,
    TimedOut,
    TooLarge,
    UpstreamFailed,
    WorkerLost,
)
from gateway.contract.events import Delta, Done, Progress, TransportEvent
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from tests.transports.mqtt.memory_link import HandClock, MemoryBroker
from transports.mqtt.protocol.frame_codec import decode_inbox
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    AliveFrame,
    CancelFrame,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    ReplyFrame,
    RequestFrame,
    Status,
    Whole,
)
from transports.mqtt.requests.dispatch import Dispatch
from transports.mqtt.requests.open_requests import SESSION_BYTES, OpenRequests
from transports.mqtt.requests.pending_request import PendingRequest
from transports.mqtt.requests.presence import KnownWorker, Presence


class Gateway:
    """Surroundings of one reply: workers a, b and c, whose frames the test sends."""

    def __init__(self, *statuses: Status, max_payload: int = 262_144, listening: str = "abc") -> None:
        self.clock = HandClock()
        self.presence = Presence()
        self.dispatch = Dispatch(self.presence, queue_max=2)
        self.inbox: list[tuple[str, RequestFrame | CancelFrame]] = []
        broker = MemoryBroker()
        for name in listening:
            worker = broker.link(name)
            worker.subscribe(f"r/workers/{name}/inbox", lambda *_: None)
            worker.connect()
        self.link = broker.link("gw", max_payload)
        self.link.connect()
        self.requests = OpenRequests(self.link, self.dispatch, "r", idle_s=30.0)
        for name, status in zip("abc", statuses, strict=False):
            self.presence.take(name, status, retained=False, now=self.clock.time())

    @staticmethod
    def request(text: str = "hi", deadline_s: float = 120.0, *, other_answers: bool = False) -> ChatRequest:
        turns = [Turn("user", text)]
        return ChatRequest("f" * 32, turns, deadline_s=deadline_s, other_answers=lambda: other_answers)

    def ask(self, text: str = "hi", deadline_s: float = 120.0, *, other_answers: bool = False) -> "Asked":
        request = self.request(text, deadline_s, other_answers=other_answers)
        reply = Asked(request, self.requests, self.clock)
        reply.start()
        return reply

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The frames sent so far, each with its worker: ("a", "Request"), ..."""
        return [
            (topic.split("/")[2], type(decode_inbox(payload)).__name__) for topic, payload in self.link.sent
        ]

    def attempt_id(self) -> str:
        (attempt_id,) = self.requests.open
        return attempt_id

    def say(self, frame: ReplyFrame, sender: str = "a") -> bool:
        return self.requests.open[frame.id].take(sender, frame, 10)


class Asked(PendingRequest):
    """A pending request and the events received for it."""

    def __init__(self, request: ChatRequest, requests: OpenRequests, clock: HandClock) -> None:
        self.heard: list[list[TransportEvent]] = []
        super().__init__(request, lambda events: self.heard.append(list(events)), requests, clock)

    def news(self) -> tuple[TransportEvent, ...]:
        """Return the events received since the last call."""
        events = tuple(event for batch in self.heard for event in batch)
        self.heard.clear()
        return events


async def all_of(reply: Asked) -> list[TransportEvent | Done]:
    done = await reply.done
    return [*(event for batch in reply.heard for event in batch), *(done.whole or ()), done]


async def failure_of(reply: Asked) -> GatewayError:
    with pytest.raises(GatewayError) as failed:
        await all_of(reply)
    return failed.value


WITH_ACCEPT = Status("ready", accept_s=2, heartbeat_s=10, max=2)


async def test_frames_that_gathered_are_one_batch() -> None:
    gateway = Gateway(Status("ready", models=["tiny"]))
    reply = gateway.ask()
    id = gateway.attempt_id()
    for frame in (AcceptFrame(id), ChunkFrame(id, 1, "a"), ChunkFrame(id, 2, "b")):
        gateway.say(frame)
    assert reply.news() == (Delta("a"), Delta("b"))
    gateway.say(EndFrame(id, 3, length=2))
    assert await all_of(reply) == [Done("stop", "tiny")]
    assert gateway.sent == [("a", "RequestFrame")], "a reply that ended needs no cancel"
    assert not gateway.requests.open


async def test_an_attempt_has_an_id_of_its_own() -> None:
    gateway = Gateway(Status("ready"))
    gateway.ask()
    assert gateway.attempt_id() != "f" * 32
    assert len(gateway.attempt_id()) == 32


async def test_another_workers_frame_is_not_taken() -> None:
    gateway = Gateway(Status("ready"))
    gateway.ask()
    assert not gateway.say(Whole(gateway.attempt_id(), "spoofed"), sender="b")


async def test_a_missed_accept_goes_to_another_worker_under_a_new_id() -> None:
    gateway = Gateway(WITH_ACCEPT, WITH_ACCEPT)
    reply = gateway.ask()
    first_id = gateway.attempt_id()
    first = gateway.sent[0][0]
    other = "b" if first == "a" else "a"
    gateway.clock.advance(2.0)
    assert gateway.sent == [(first, "RequestFrame"), (first, "CancelFrame"), (other, "RequestFrame")]
    assert gateway.attempt_id() != first_id
    assert [worker.name for worker in gateway.presence.ready] == [other], "set aside until it says something"
    gateway.say(Whole(gateway.attempt_id(), "from the other"), sender=other)
    assert (await all_of(reply))[0] == Delta("from the other")


async def test_with_nobody_else_a_retry_waits_for_a_worker_until_the_deadline() -> None:
    gateway = Gateway(WITH_ACCEPT)
    reply = gateway.ask(deadline_s=60)
    gateway.clock.advance(2.0)
    assert reply.news() == (Progress("queued", position=1),)
    gateway.presence.take("a", WITH_ACCEPT, retained=False, now=gateway.clock.time())
    gateway.dispatch.serve()
    assert gateway.sent == [("a", "RequestFrame"), ("a", "CancelFrame")], "a status is no answer"
    gateway.clock.advance(5.0)
    gateway.presence.expire(gateway.clock.time())
    gateway.dispatch.serve()
    assert gateway.sent == [("a", "RequestFrame"), ("a", "CancelFrame"), ("a", "RequestFrame")]
    gateway.clock.advance(2.0)
    gateway.clock.advance(51.0)
    assert type(await failure_of(reply)) is TimedOut


async def test_without_accept_s_the_deadline_is_the_limit() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask(deadline_s=120)
    gateway.clock.advance(119.9)
    assert gateway.sent == [("a", "RequestFrame")]
    gateway.clock.advance(0.1)
    assert type(await failure_of(reply)) is TimedOut
    assert gateway.sent[-1] == ("a", "CancelFrame")


async def test_silence_after_the_first_frame_is_a_timeout() -> None:
    gateway = Gateway(WITH_ACCEPT)
    reply = gateway.ask()
    gateway.say(AcceptFrame(gateway.attempt_id()))
    gateway.clock.advance(29.0)
    gateway.say(AliveFrame(gateway.attempt_id(), 1))
    gateway.clock.advance(29.9)
    assert gateway.requests.open
    gateway.clock.advance(0.1)
    assert type(await failure_of(reply)) is TimedOut


async def test_a_hole_that_does_not_fill_in_two_seconds_is_a_gap_and_keeps_the_text() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask()
    id = gateway.attempt_id()
    gateway.say(ChunkFrame(id, 1, "kept"))
    gateway.say(ChunkFrame(id, 3, "never seen"))
    gateway.clock.advance(1.9)
    gateway.say(AliveFrame(id, 4))
    assert gateway.requests.open
    gateway.clock.advance(0.1)
    assert reply.news() == (Delta("kept"),)
    assert type(await failure_of(reply)) is FrameGap
    assert gateway.sent[-1] == ("a", "CancelFrame")


async def test_nobody_at_the_inbox_is_a_retry_at_once() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"), listening="b")
    reply = gateway.ask()
    assert gateway.sent == [("a", "RequestFrame")]
    reading = asyncio.ensure_future(all_of(reply))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gateway.sent[-1] == ("b", "RequestFrame")
    gateway.say(Whole(gateway.attempt_id(), "x"), sender="b")
    assert (await reading)[0] == Delta("x")


async def test_a_broker_that_lets_nothing_through_to_one_worker_is_a_reason_to_ask_another() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"))
    gateway.link.forbidden.add("r/workers/a/inbox")
    reply = gateway.ask()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gateway.sent[-1] == ("b", "RequestFrame")
    gateway.link.forbidden.add("r/workers/b/inbox")
    gateway.say(ErrorFrame(gateway.attempt_id(), "loading", "not yet", True), sender="b")
    assert type(await failure_of(reply)) is Loading


async def test_without_rights_to_the_only_workers_inbox_the_reply_fails_and_says_why() -> None:
    gateway = Gateway(Status("ready"))
    gateway.link.forbidden.add("r/workers/a/inbox")
    assert "lets no request through to a" in str(await failure_of(gateway.ask()))


async def test_a_worker_lost_before_anything_was_seen_is_replaced() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"))
    reply = gateway.ask()
    gateway.say(AcceptFrame(gateway.attempt_id()))
    lost = gateway.presence.take("a", Status("lost"), retained=False, now=0.0)
    assert lost is reply.worker
    reply.worker_lost("gone")
    sent = [("a", "RequestFrame"), ("a", "CancelFrame"), ("b", "RequestFrame")]
    assert gateway.sent == sent, "it may be alive after all"


async def test_a_worker_that_leaves_before_anything_was_seen_is_waited_for_like_a_lost_one() -> None:
    gateway = Gateway(Status("ready", incarnation=1, heartbeat_s=10))
    reply = gateway.ask()
    gateway.say(ErrorFrame(gateway.attempt_id(), "worker_lost", "the worker is going away", True))
    gateway.presence.take("a", Status("lost", incarnation=1), retained=False, now=0.0)
    assert reply.news() == (Progress("queued", position=1),)
    gateway.presence.take("a", Status("ready", incarnation=2, heartbeat_s=10), retained=False, now=0.0)
    gateway.dispatch.serve()
    gateway.say(Whole(gateway.attempt_id(), "x"))
    assert (await all_of(reply))[0] == Delta("x")


async def test_a_reply_that_moves_up_in_the_queue_hears_its_place() -> None:
    gateway = Gateway(Status("ready"))
    served = gateway.ask()
    first, second = gateway.ask(), gateway.ask()
    served.leave()
    assert first.worker is not None
    assert second.news() == (Progress("queued", position=2), Progress("queued", position=1))


async def test_replies_that_lost_the_broker_wait_even_if_there_are_more_than_the_queue_takes() -> None:
    gateway = Gateway(Status("ready", max=9))
    replies = [gateway.ask() for _ in range(5)]
    gateway.presence.forget_all()
    for reply in replies:
        reply.worker_lost("the broker is away")
    assert gateway.dispatch.waiting == 5
    gateway.presence.take("a", Status("ready", max=9), retained=True, now=0.0)
    gateway.dispatch.serve()
    assert all(reply.worker is not None for reply in replies)


async def test_a_worker_lost_after_something_was_seen_fails_the_reply_and_keeps_it() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"))
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "kept"))
    reply.worker_lost("gone")
    assert reply.news() == (Delta("kept"),)
    assert type(await failure_of(reply)) is WorkerLost
    assert ("b", "RequestFrame") not in gateway.sent


async def test_a_retryable_error_goes_to_another_worker_and_then_to_the_reader() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"))
    reply = gateway.ask()
    gateway.say(ErrorFrame(gateway.attempt_id(), "loading", "not yet", True))
    assert gateway.sent[-1] == ("b", "RequestFrame")
    gateway.say(ErrorFrame(gateway.attempt_id(), "upstream_error", "broke", True), sender="b")
    failure = await failure_of(reply)
    assert (type(failure), str(failure)) == (UpstreamFailed, "broke")


async def test_after_something_was_seen_an_error_ends_the_reply() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"))
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "kept"))
    gateway.say(ErrorFrame(gateway.attempt_id(), "upstream_error", "broke", True))
    assert reply.news() == (Delta("kept"),)
    assert type(await failure_of(reply)) is UpstreamFailed
    assert gateway.sent == [("a", "RequestFrame")]


async def test_an_error_of_the_request_itself_is_not_tried_again() -> None:
    gateway = Gateway(Status("ready", max=5), Status("ready"))
    reply = gateway.ask()
    gateway.say(ErrorFrame(gateway.attempt_id(), "model_refused", "too long", False))
    assert type(await failure_of(reply)) is ModelRefused
    assert gateway.sent == [("a", "RequestFrame")]


async def test_a_worker_that_says_it_is_full_is_believed_until_its_next_status() -> None:
    gateway = Gateway(WITH_ACCEPT)
    gateway.ask()
    gateway.say(ErrorFrame(gateway.attempt_id(), "overloaded", "full", True))
    assert not gateway.requests.open
    assert gateway.dispatch.waiting == 1
    gateway.presence.take("a", WITH_ACCEPT, retained=False, now=gateway.clock.time())
    gateway.dispatch.serve()
    assert gateway.sent[-1] == ("a", "RequestFrame")


async def test_leaving_tells_the_worker_to_stop() -> None:
    gateway = Gateway(Status("ready"))
    reply = gateway.ask()
    reply.leave()
    assert gateway.sent == [("a", "RequestFrame"), ("a", "CancelFrame")]
    reply.leave()
    assert len(gateway.sent) == 2


async def test_leaving_the_queue_sends_nothing() -> None:
    gateway = Gateway(Status("ready"))
    gateway.ask()
    waiting = gateway.ask()
    waiting.leave()
    assert gateway.sent == [("a", "RequestFrame")]
    assert gateway.dispatch.waiting == 0


async def test_too_many_waiting_is_overloaded() -> None:
    gateway = Gateway(Status("ready"))
    for _ in range(3):
        gateway.ask()
    with pytest.raises(Overloaded):
        gateway.ask()


async def test_a_request_that_no_message_can_carry_is_refused_before_it_is_sent() -> None:
    gateway = Gateway(Status("ready"), max_payload=1_000)
    with pytest.raises(TooLarge):
        gateway.ask("x" * 2_000)
    assert gateway.sent == []
    assert gateway.ask("short").worker is not None, "the worker is free again"


async def test_what_passes_the_check_can_be_sent_to_any_worker() -> None:
    """Also with the longest name, and with a session, which the request gets after the check."""
    gateway = Gateway(max_payload=2_000)

    def passes(length: int) -> bool:
        try:
            gateway.requests.check(gateway.request("x" * length))
        except TooLarge:
            return False
        return True

    longest = max(filter(passes, range(2_000)))
    request = replace(gateway.request("x" * longest), session="s" * SESSION_BYTES)
    worker = KnownWorker("w" * 64, Status("ready"), heard_at=0.0)
    gateway.requests.send_request(request, worker, "f" * 32, 119.999_999_999_999_99)
    ((_, payload),) = gateway.link.sent
    assert 1_900 < len(payload) <= 2_000
