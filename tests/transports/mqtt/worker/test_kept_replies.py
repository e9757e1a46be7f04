"""The frames that a worker keeps: their order, their pace, their limits and their time."""

import asyncio
from asyncio import Future

import pytest

from gateway.contract.errors import Overloaded, TooLarge
from tests.transports.mqtt.memory_link import HandClock, MemoryBroker, MemoryLink
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Envelope, Receipt
from transports.mqtt.protocol.frame_codec import decode_reply, encode
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    AliveFrame,
    CancelFrame,
    ChunkFrame,
    ErrorFrame,
    ForgetFrame,
    MessageField,
    ReplyFrame,
    RequestFrame,
    ResumeFrame,
)
from transports.mqtt.worker.frame_sender import UNANSWERED_MAX
from transports.mqtt.worker.kept_replies import KeptReplies
from transports.mqtt.worker.kept_reply import KeptReply
from transports.mqtt.worker.reply_writer import ReplyWriter

GW, OTHER = "r/gateways/gw/replies/w", "r/gateways/other/replies/w"


class LimitedLink(MemoryLink):
    """A link that raises `error` if it is set, and acknowledges when the test says so."""

    error: Exception | None = None

    def __init__(self) -> None:
        super().__init__(MemoryBroker(), "w", 262_144)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        if self.error is not None:
            raise self.error
        self.stuck = True
        return super().publish(topic, payload, retain=retain, envelope=envelope)

    def acknowledge(self) -> None:
        receipts, self._unacknowledged = self._unacknowledged, []
        for receipt in receipts:
            receipt.set_result(Receipt.TAKEN)


class Desk:
    def __init__(self, *, max_bytes: int = 1_000_000, max_reply_bytes: int = 100_000) -> None:
        self.link = LimitedLink()
        self.link.connect()
        self.clock = HandClock()
        self.stopped: list[str] = []
        self.dropped = Dropped()
        self.kept = KeptReplies(
            self.link,
            self.stopped.append,
            self.dropped,
            self.clock,
            max_bytes=max_bytes,
            max_reply_bytes=max_reply_bytes,
        )

    def begin(self, id: str = "a", chunks: int = 0) -> KeptReply:
        request = RequestFrame(id, GW, [MessageField("user", "hi")], keep_s=60.0)
        reply = self.kept.begin(request, "gw", 7)
        reply.send(encode(AcceptFrame(id)))
        for number in range(1, chunks + 1):
            reply.send(encode(ChunkFrame(id, number, "x")))
        return reply

    def resume(self, id: str = "a", epoch: int = 1, topic: str = OTHER) -> None:
        self.kept.resume(ResumeFrame(id, topic, epoch), topic.split("/")[2], 8)

    def sent(self, topic: str = OTHER) -> list[ReplyFrame]:
        return [decode_reply(payload) for heard, payload in self.link.sent if heard == topic]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_frames_come_again_paced_by_acknowledgements_and_then_new_ones() -> None:
    desk = Desk()
    reply = desk.begin(chunks=20)
    desk.resume()
    assert len(desk.sent()) == UNANSWERED_MAX
    reply.send(encode(ChunkFrame("a", 21, "x")))
    assert len(desk.sent()) == UNANSWERED_MAX, "a new frame waits for those before it"
    for _ in range(3):
        desk.link.acknowledge()
        await turns()
    reply.send(encode(ChunkFrame("a", 22, "x")))
    assert desk.sent() == [AcceptFrame("a", epoch=1), *(ChunkFrame("a", n, "x") for n in range(1, 23))]


async def test_a_second_resume_of_the_same_epoch_begins_again() -> None:
    desk = Desk()
    desk.begin(chunks=1)
    frames = [AcceptFrame("a", epoch=1), ChunkFrame("a", 1, "x")]
    desk.resume()
    desk.resume()
    assert desk.sent() == frames * 2


async def test_nothing_is_sent_while_no_gateway_is_there() -> None:
    desk = Desk()
    reply = desk.begin()
    desk.kept.gateway_gone("gw", 8)
    assert not reply.attached
    reply.send(encode(ChunkFrame("a", 1, "x")))
    assert not reply.has_receipts
    assert await reply.written(), "it does not wait for the broker"
    assert len(desk.sent(GW)) == 1


async def test_the_status_that_follows_its_own_resume_takes_nothing_away() -> None:
    desk = Desk()
    reply = desk.begin()
    desk.resume(topic=GW)
    desk.kept.gateway_gone("gw", 8)
    assert reply.attached
    desk.kept.gateway_gone("gw", None)
    assert not reply.attached


async def test_without_a_resume_it_stops_when_keep_s_is_over() -> None:
    desk = Desk()
    desk.begin()
    desk.kept.detach_all()
    desk.clock.advance(59)
    assert desk.stopped == []
    desk.resume()
    desk.clock.advance(600)
    assert desk.stopped == [], "it was resumed"
    desk.kept.detach_all()
    desk.clock.advance(60)
    assert desk.stopped == ["a"]
    desk.resume(epoch=2)
    assert desk.sent()[-1] == ErrorFrame("a", "unknown", "the worker keeps no reply with this id")


async def test_an_ended_reply_is_kept_for_keep_s() -> None:
    desk = Desk()
    reply = desk.begin()
    desk.kept.ended(reply, keep=True)
    desk.clock.advance(59)
    desk.resume()
    assert desk.sent() == [AcceptFrame("a", epoch=1)]
    desk.clock.advance(1)
    desk.link.acknowledge()
    await turns()
    desk.resume(epoch=2)
    assert [frame.code for frame in desk.sent() if isinstance(frame, ErrorFrame)] == ["unknown"]
    assert desk.stopped == []


async def test_a_full_link_pauses_the_repetition() -> None:
    desk = Desk()
    desk.begin(chunks=1)
    desk.link.error = Overloaded("full")
    desk.resume()
    assert desk.sent() == []
    desk.link.error = None
    desk.clock.advance(0.1)
    assert desk.sent() == [AcceptFrame("a", epoch=1), ChunkFrame("a", 1, "x")]


async def test_a_frame_that_the_broker_no_longer_takes_stops_the_reply() -> None:
    desk = Desk()
    desk.begin(chunks=1)
    desk.link.error = TooLarge("for this broker")
    desk.resume()
    assert desk.stopped == ["a"]


async def test_a_reply_that_becomes_too_large_during_the_repetition_is_gone() -> None:
    desk = Desk(max_reply_bytes=5_000)
    reply = desk.begin(chunks=10)
    desk.resume()
    reply.send(encode(ChunkFrame("a", 11, "y" * 5_000)))
    assert desk.stopped == ["a"]
    assert [frame.code for frame in desk.sent() if isinstance(frame, ErrorFrame)] == ["gone"]


async def test_the_memory_of_all_replies_is_bounded() -> None:
    desk = Desk(max_bytes=50_000)
    for number in range(100):
        reply = desk.begin(str(number), chunks=10)
        desk.kept.ended(reply, keep=True)
        assert desk.kept._size <= 50_000
    desk.resume("0")
    desk.resume("99")
    errors = [frame.id for frame in desk.sent() if isinstance(frame, ErrorFrame)]
    assert errors == ["0"], "the oldest were dropped"
    for number in range(100):
        desk.kept.forget(ForgetFrame(str(number), 1))
    assert desk.kept._size == 0


async def test_running_replies_alone_fill_the_memory() -> None:
    desk = Desk(max_bytes=10_000)
    first, second = desk.begin("a"), desk.begin("b")
    first.send(b"x" * 6_000)
    second.send(b"x" * 6_000)
    assert first.frames is not None
    assert second.frames is None, "it goes on with its gateway alone"
    assert desk.stopped == []


@pytest.mark.parametrize("epoch", [0, 1])
async def test_lower_epochs_are_ignored(epoch: int) -> None:
    desk = Desk()
    desk.begin()
    desk.resume(epoch=2)
    sent = len(desk.link.sent)
    desk.resume(epoch=epoch)
    desk.kept.forget(ForgetFrame("a", epoch))
    assert desk.kept.is_overtaken(CancelFrame("a", epoch=epoch))
    assert len(desk.link.sent) == sent
    assert not desk.kept.is_overtaken(CancelFrame("a", epoch=2))
    desk.kept.forget(ForgetFrame("a", 2))
    assert desk.stopped == ["a"]


async def test_the_same_epoch_for_another_topic_is_ignored() -> None:
    desk = Desk()
    desk.begin()
    desk.resume()
    desk.resume(topic="r/gateways/third/replies/w")
    assert desk.dropped["overtaken"] == 1


async def test_nothing_waits_for_the_acknowledgements_of_a_gateway_that_is_gone() -> None:
    desk = Desk()
    reply = desk.begin(chunks=3 * UNANSWERED_MAX)
    assert reply.has_receipts
    desk.kept.detach_all()
    assert not reply.has_receipts
    assert await reply.written()


async def test_a_lost_connection_loses_no_kept_frame() -> None:
    desk = Desk()
    reply = desk.begin(chunks=3 * UNANSWERED_MAX)
    desk.link.lose_connection()
    assert await reply.written()


async def test_no_alive_is_made_while_no_gateway_is_there() -> None:
    desk = Desk()
    reply = desk.begin()
    writer = ReplyWriter(
        reply, "a", whole=False, coalesce_s=0, coalesce_bytes=1, alive_s=10, clock=desk.clock
    )
    writer.accept()
    desk.clock.advance(10)
    assert reply.frames is not None
    made = len(reply.frames)
    assert decode_reply(reply.frames[-1]) == AliveFrame("a", 1)
    desk.kept.detach_all()
    desk.clock.advance(50)
    assert len(reply.frames) == made
    desk.resume()
    desk.clock.advance(20)
    assert len(reply.frames) > made
    writer.close()
