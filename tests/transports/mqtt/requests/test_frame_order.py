import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.errors import FrameGap, ProtocolViolation, UpstreamFailed
from gateway.contract.events import (
    Delta,
    Done,
    Progress,
    Reasoning,
    ToolCall,
    TransportEvent,
    Usage,
)
from transports.mqtt.protocol import frames
from transports.mqtt.protocol.frames import AcceptFrame, ChunkFrame, EndFrame, Numbered, Status, Tokens, Whole
from transports.mqtt.requests.frame_order import MAX_EARLY_FRAMES, MAX_REPLY_BYTES, Attempt
from transports.mqtt.requests.presence import KnownWorker

WORKER = KnownWorker("w", Status("ready"), 0.0)


def begin() -> tuple[Attempt, list[TransportEvent]]:
    attempt = Attempt("a", WORKER, model="tiny", now=0.0)
    return attempt, attempt.events


def chunks(texts: list[str]) -> list[Numbered]:
    """The frames of a whole reply, accept to end."""
    length = len("".join(texts))
    numbered: list[Numbered] = [AcceptFrame("a")]
    numbered += [ChunkFrame("a", seq, text) for seq, text in enumerate(texts, 1)]
    return [*numbered, EndFrame("a", len(texts) + 1, "stop", None, length)]


def text_of(events: list[TransportEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@given(texts=st.lists(st.text(max_size=4), max_size=12), data=st.data())
def test_text_is_exact_however_frames_are_shuffled_and_repeated(
    texts: list[str], data: st.DataObject
) -> None:
    accept, *rest = chunks(texts)
    repeated = data.draw(st.lists(st.sampled_from(rest), max_size=5))
    arriving = [accept, *data.draw(st.permutations(rest + repeated))]
    attempt, events = begin()
    for frame in arriving:
        if not attempt.ended:
            attempt.take(frame, 10, 1.0)
    assert text_of(events) == "".join(texts)
    assert attempt.done == Done("stop", "tiny")
    assert Delta("") not in events


@given(texts=st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=12), data=st.data())
def test_a_lost_frame_never_gives_a_whole_reply(texts: list[str], data: st.DataObject) -> None:
    all_frames = chunks(texts)
    lost = data.draw(st.integers(1, len(texts)))
    attempt, events = begin()
    for frame in all_frames[:lost] + all_frames[lost + 1 :]:
        attempt.take(frame, 10, 1.0)
    assert text_of(events) == "".join(texts[: lost - 1])
    assert attempt.hole_since == 1.0
    assert not attempt.ended


@given(st.lists(st.integers(0, 2**60), max_size=30))
def test_wild_numbers_never_show_a_text_twice_or_out_of_order(numbers: list[int]) -> None:
    attempt, events = begin()
    for number in numbers:
        attempt.take(ChunkFrame("a", number, f"{number},"), 10, 1.0)
    shown = [int(part) for part in text_of(events).split(",") if part]
    first = 0 if 0 in shown else 1
    assert shown == list(range(first, first + len(shown)))


def test_an_accept_may_be_left_out() -> None:
    attempt, events = begin()
    attempt.take(ChunkFrame("a", 1, "x"), 10, 1.0)
    assert events == [Delta("x")]
    assert attempt.hole_since is None


def test_a_repeated_frame_is_no_hole_and_is_not_kept() -> None:
    attempt, events = begin()
    for frame in (AcceptFrame("a"), ChunkFrame("a", 1, "x"), ChunkFrame("a", 1, "x"), AcceptFrame("a")):
        attempt.take(frame, 10, 1.0)
    assert attempt.hole_since is None
    assert not attempt._early
    assert events == [Delta("x")]


def test_a_hole_that_fills_is_no_hole() -> None:
    attempt, events = begin()
    attempt.take(ChunkFrame("a", 1, "a"), 10, 1.0)
    attempt.take(ChunkFrame("a", 3, "c"), 10, 2.0)
    assert attempt.hole_since == 2.0
    attempt.take(ChunkFrame("a", 5, "e"), 10, 3.0)
    assert attempt.hole_since == 2.0
    attempt.take(ChunkFrame("a", 2, "b"), 10, 4.0)
    assert attempt.hole_since == 4.0, "another frame is missing since now"
    attempt.take(ChunkFrame("a", 4, "d"), 10, 5.0)
    assert attempt.hole_since is None
    assert text_of(events) == "abcde"


def test_a_length_that_does_not_fit_is_a_gap() -> None:
    attempt, _ = begin()
    attempt.take(ChunkFrame("a", 1, "🙂"), 10, 1.0)
    with pytest.raises(FrameGap):
        attempt.take(EndFrame("a", 2, length=2), 10, 1.0)


def test_a_length_counts_code_points() -> None:
    attempt, _ = begin()
    attempt.take(ChunkFrame("a", 1, "e\u0301🙂"), 10, 1.0)
    attempt.take(EndFrame("a", 2, length=3), 10, 1.0)
    assert attempt.ended


def test_a_whole_reply_is_one_delta_with_its_done() -> None:
    attempt, _ = begin()
    attempt.take(Whole("a", "all of it", "length", Tokens(1, 2, 3)), 10, 1.0)
    assert attempt.done == Done("length", "tiny", (Delta("all of it"), Usage(1, 2, 3)))


def test_an_empty_whole_reply_is_just_done() -> None:
    attempt, _ = begin()
    attempt.take(Whole("a", ""), 10, 1.0)
    assert attempt.done == Done("stop", "tiny", ())


def test_a_whole_reply_after_parts_would_say_things_twice() -> None:
    attempt, _ = begin()
    attempt.take(ChunkFrame("a", 1, "x"), 10, 1.0)
    with pytest.raises(ProtocolViolation):
        attempt.take(Whole("a", "x"), 10, 1.0)


def test_every_kind_of_frame_has_its_event() -> None:
    attempt, events = begin()
    attempt.take(AcceptFrame("a", queue=2), 10, 1.0)
    attempt.take(frames.ProgressFrame("a", 1, "prompt", processed=1, total=2), 10, 1.0)
    attempt.take(frames.AliveFrame("a", 2), 10, 1.0)
    assert not attempt.visible
    attempt.take(frames.ReasoningFrame("a", 3, "hm"), 10, 1.0)
    assert attempt.visible
    attempt.take(frames.ToolCallFrame("a", 4, frames.CallField("1", "add", "{")), 10, 1.0)
    attempt.take(EndFrame("a", 5, "who knows", Tokens(1, 2, 3, 4.5)), 10, 1.0)
    assert events == [
        Progress("queued", position=2),
        Progress("prompt", processed=1, total=2),
        Reasoning("hm"),
        ToolCall("1", "add", "{"),
        Usage(1, 2, 3, 4.5),
    ]
    assert attempt.done == Done("tool_calls", "tiny")


def test_early_frames_are_bounded() -> None:
    attempt, _ = begin()
    attempt.take(AcceptFrame("a"), 1, 1.0)
    for seq in range(2, MAX_EARLY_FRAMES + 2):
        attempt.take(ChunkFrame("a", seq, "x"), 1, 1.0)
    with pytest.raises(FrameGap):
        attempt.take(ChunkFrame("a", MAX_EARLY_FRAMES + 2, "x"), 1, 1.0)


def test_a_reply_is_bounded_even_if_somebody_reads_it() -> None:
    attempt, events = begin()
    size = MAX_REPLY_BYTES // 4
    for seq in range(1, 5):
        attempt.take(ChunkFrame("a", seq, "x"), size, 1.0)
        events.clear()
    with pytest.raises(UpstreamFailed, match="16 MiB"):
        attempt.take(ChunkFrame("a", 5, "x"), size, 1.0)
