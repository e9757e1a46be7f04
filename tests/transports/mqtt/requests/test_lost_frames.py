"""Replies of which frames were lost: when they are asked for again, and what ends the reply."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gateway.contract.errors import (
    FrameGap,
    GatewayError,
    ProtocolViolation,
    TimedOut,
)
from gateway.contract.events import Done
from tests.transports.mqtt.requests.kept_desk import REPLY_TO, Desk, silence
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    CancelFrame,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    ReplyFrame,
    ResumeFrame,
)
from transports.mqtt.requests.frame_order import HOLE_S, MAX_EARLY_FRAMES
from transports.mqtt.requests.kept_attempt import MAX_REPETITIONS
from transports.mqtt.requests.kept_request import BROKER_BACK_S


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


async def test_repeated_frames_do_not_count_for_the_size_of_a_reply() -> None:
    desk = Desk()
    reply = desk.begin()
    text = "x" * 1_000
    for _ in range(20):
        for number in range(1, 3):
            reply.take("a", ChunkFrame(desk.id, number, text), 4 * 2**20)
    assert not reply.done.done()
    assert desk.text == 2 * text
