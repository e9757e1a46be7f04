"""Frames that ReplyWriter sends, with a clock that the test moves."""

from asyncio import Future

import pytest
from msgspec import UNSET

from gateway.contract.errors import Overloaded, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, Usage
from tests.transports.mqtt.memory_link import HandClock, MemoryBroker, MemoryLink
from transports.mqtt.link.link import Envelope, Receipt
from transports.mqtt.protocol.frame_codec import decode_reply
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    AliveFrame,
    CallField,
    ChunkFrame,
    EndFrame,
    ErrorFrame,
    ProgressFrame,
    ReasoningFrame,
    ReplyFrame,
    Tokens,
    ToolCallFrame,
    Whole,
)
from transports.mqtt.worker.frame_sender import FrameSender
from transports.mqtt.worker.reply_writer import ReplyWriter


class Desk:
    def __init__(self, *, whole: bool = False, max_payload: int = 262_144) -> None:
        self.clock = HandClock()
        self._link = MemoryBroker().link("w", max_payload)
        self._link.connect()
        self.writer = ReplyWriter(
            FrameSender(self._link, "r/gateways/g/replies/w"),
            "a",
            whole=whole,
            coalesce_s=0.05,
            coalesce_bytes=10,
            alive_s=10,
            clock=self.clock,
        )

    @property
    def frames(self) -> list[ReplyFrame]:
        return [decode_reply(payload) for _, payload in self._link.sent]


async def test_the_first_text_goes_out_at_once_and_later_text_together() -> None:
    desk = Desk()
    desk.writer.accept()
    for text in ("a", "b", "c"):
        desk.writer.say([Delta(text)])
    assert desk.frames == [AcceptFrame("a", 0), ChunkFrame("a", 1, "a")]
    desk.clock.advance(0.05)
    assert desk.frames[2:] == [ChunkFrame("a", 2, "bc")]


async def test_enough_text_does_not_wait() -> None:
    desk = Desk()
    desk.writer.say([Delta("a")])
    desk.writer.say([Delta("five ")])
    desk.writer.say([Delta("more!")])
    assert desk.frames[1:] == [ChunkFrame("a", 2, "five more!")]


async def test_a_slow_model_is_not_slowed_further() -> None:
    desk = Desk()
    desk.writer.say([Delta("a")])
    desk.clock.advance(0.2)
    desk.writer.say([Delta("b")])
    assert desk.frames[1:] == [ChunkFrame("a", 2, "b")]


async def test_the_end_takes_the_rest_with_it_and_counts_code_points() -> None:
    desk = Desk()
    desk.writer.say([Delta("a🙂")])
    desk.writer.say([Delta("b"), Usage(1, 2, 3)])
    desk.writer.end(Done("length"))
    assert desk.frames[1:] == [ChunkFrame("a", 2, "b"), EndFrame("a", 3, "length", Tokens(1, 2, 3), 3)]


async def test_other_events_keep_their_place_in_the_text() -> None:
    desk = Desk()
    desk.writer.say([Progress("prompt", processed=1, total=2), Reasoning("hm")])
    desk.writer.say([Delta("a"), ToolCall("1", "add", "{}"), Delta("b")])
    desk.writer.end(Done("tool_calls"))
    assert desk.frames == [
        ProgressFrame("a", 1, "prompt", None, 1, 2),
        ReasoningFrame("a", 2, "hm"),
        ChunkFrame("a", 3, "a"),
        ToolCallFrame("a", 4, CallField("1", "add", "{}")),
        ChunkFrame("a", 5, "b"),
        EndFrame("a", 6, "tool_calls", UNSET, 2),
    ]


async def test_a_reply_in_one_piece_stays_in_one_piece() -> None:
    desk = Desk()
    desk.writer.accept()
    desk.writer.end(Done("stop", whole=[Delta("all of it")]))
    assert desk.frames[1:] == [Whole("a", "all of it")]


async def test_who_asked_for_a_whole_reply_gets_one() -> None:
    desk = Desk(whole=True)
    desk.writer.say([Delta("all ")])
    desk.writer.say([Delta("of it")])
    desk.clock.advance(1)
    assert desk.frames == []
    desk.writer.end(Done("stop"))
    assert desk.frames == [Whole("a", "all of it")]


async def test_text_that_no_message_can_carry_is_cut() -> None:
    desk = Desk(max_payload=4_096)
    text = "\x01" * 2_000
    desk.writer.end(Done("stop", whole=[Delta(text)]))
    *chunks, end = desk.frames
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, ChunkFrame)) == text
    assert end == EndFrame("a", len(chunks) + 1, "stop", UNSET, 2_000)


async def test_silence_is_broken_by_alive() -> None:
    desk = Desk()
    desk.writer.accept()
    desk.clock.advance(9)
    desk.writer.say([Delta("a")])
    desk.clock.advance(9)
    assert len(desk.frames) == 2
    desk.clock.advance(1)
    assert desk.frames[2:] == [AliveFrame("a", 2)]
    desk.writer.close()
    desk.clock.advance(100)
    assert len(desk.frames) == 3


async def test_an_error_comes_after_the_text_that_was_made() -> None:
    desk = Desk()
    desk.writer.say([Delta("a")])
    desk.writer.say([Delta("b")])
    desk.writer.fail(UpstreamFailed("broke"))
    assert desk.frames[1:] == [ChunkFrame("a", 2, "b"), ErrorFrame("a", "upstream_error", "broke", True)]


async def test_a_lost_connection_is_told_to_who_writes() -> None:
    desk = Desk()
    desk.writer.say([Delta("a")])
    assert await desk.writer.written()
    desk._link.lose_connection()
    desk.writer.say([Delta("more than ten bytes")])
    assert not await desk.writer.written()


async def test_what_the_model_thinks_is_gathered_too_and_the_answer_begins_at_once() -> None:
    desk = Desk()
    for text in ("hm", " so", " then"):
        desk.writer.say([Reasoning(text)])
    desk.writer.say([Delta("a")])
    assert desk.frames == [
        ReasoningFrame("a", 1, "hm"),
        ReasoningFrame("a", 2, " so then"),
        ChunkFrame("a", 3, "a"),
    ]
    desk.writer.end(Done("stop"))
    assert desk.frames[3:] == [EndFrame("a", 4, "stop", UNSET, 1)], "only the text counts"


async def test_thoughts_without_an_answer_are_no_answer() -> None:
    desk = Desk()
    desk.writer.end(Done("stop", whole=[Reasoning("hm")]))
    assert desk.frames == [ReasoningFrame("a", 1, "hm"), EndFrame("a", 2, "stop", UNSET, 0)]


async def test_the_first_text_does_not_wait_for_the_progress_before_it() -> None:
    desk = Desk()
    desk.writer.say([Progress("prompt", processed=2, total=2)])
    desk.writer.say([Delta("a")])
    assert desk.frames[1:] == [ChunkFrame("a", 2, "a")]


async def test_a_whole_reply_is_all_that_is_said() -> None:
    desk = Desk(whole=True)
    desk.writer.say([Progress("prompt", processed=1, total=2), Reasoning("hm"), Delta("a")])
    desk.writer.end(Done("stop"))
    assert desk.frames == [Whole("a", "a")]


async def test_the_place_in_the_queue_goes_with_the_accept() -> None:
    desk = Desk()
    desk.writer.accept(queue=2)
    assert desk.frames == [AcceptFrame("a", 0, 2)]


class FullLink(MemoryLink):
    """A link that accepts frames until `full` is set."""

    full = False

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        if self.full:
            raise Overloaded("too many messages wait for the MQTT broker")
        return super().publish(topic, payload, retain=retain, envelope=envelope)


async def test_what_a_timer_could_not_write_fails_the_reply() -> None:
    desk = Desk()
    link = desk._link = desk.writer._sender._link = FullLink(MemoryBroker(), "w", 262_144)
    link.connect()
    desk.writer.accept()
    desk.writer.say([Delta("a")])
    desk.writer.say([Delta("b")])
    assert await desk.writer.written()
    link.full = True
    desk.clock.advance(12)
    link.full = False
    desk.clock.advance(10)
    assert desk.frames == [AcceptFrame("a", 0), ChunkFrame("a", 1, "a")], "no number behind a missing one"
    with pytest.raises(Overloaded):
        await desk.writer.written()
