"""Contract of dialects: the promises to frontends that hold for every frame format."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.dialect import Encoder
from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    Progress,
    ReaderEvent,
    Reasoning,
    Started,
    Terminal,
    ToolCall,
)
from gateway.contract.journal import Position
from gateway.core.pacing import Pace, pieces
from gateway.dialects.registry import DIALECTS
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.http.sse_writer import Pulse
from tests.contract.rig_dialects import DIALECT_RIGS, RESUMING_RIGS, DialectRig
from tests.dialects.order.frames import Heard, frames_of
from tests.web.scene import Pipe

UUID = "0192f0c1-7a4e-7000-8000-000000000001"
STARTED = Started("ab", 1, "local-1f3a9c", 1, 2, "sse", "token", None, UUID, opens_session=True)
CONTINUED = Started("ab", 1, "local-1f3a9c", 1, 2, "sse", "token", None, UUID, opens_session=False)
AWKWARD = 'li\u2028n\u2029e\x85, \r\n "quotes", back\\slash, \x00, \u0301, [DONE], data: x, 👩‍👩‍👧 \U0010ffff'
BESIDE: list[ReaderEvent] = [
    Progress("queued", position=2),
    Progress("prompt", processed=5, total=9),
    Reasoning("hm, \n hm"),
]

texts = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=8).filter(
    lambda said: not any(text.startswith("Error: ") for text in said)
)


def ending(text: str) -> Ending:
    return Ending(2, text, "sse", "token", "tiny", None, None, None, UUID)


def finished(text: str) -> Terminal:
    return Finished("stop", ending(text))


def failed(text: str) -> Terminal:
    return Failed("upstream_error", "unreachable", 'It "is"\naway.', True, ending(text))


def told(encoder: Encoder, events: Sequence[ReaderEvent]) -> list[bytes]:
    return [frame for event in events for frame in encoder.frames(event)]


def heard(rig: DialectRig, events: Sequence[ReaderEvent]) -> Heard:
    return rig.hear(b"".join(told(rig.dialect.encoder("ab"), events)))


EVERY_KIND: list[ReaderEvent] = [
    STARTED,
    CONTINUED,
    *BESIDE,
    Delta(AWKWARD),
    ToolCall("c", AWKWARD, AWKWARD),
    finished(AWKWARD),
    Cancelled("user_stop", ending(AWKWARD)),
    failed(AWKWARD),
]


resuming = pytest.mark.parametrize("rig", RESUMING_RIGS, ids=lambda rig: rig.name)


@pytest.fixture(params=DIALECT_RIGS, ids=lambda rig: rig.name)
def rig(request: pytest.FixtureRequest) -> DialectRig:
    chosen: DialectRig = request.param
    return chosen


def test_every_dialect_that_can_be_chosen_is_tested_here() -> None:
    assert [rig.name for rig in DIALECT_RIGS] == list(DIALECTS)
    assert all(name == dialect.name for name, dialect in DIALECTS.items())


@pytest.mark.parametrize("rig", DIALECT_RIGS, ids=lambda rig: rig.name)
@given(said=texts)
def test_any_text_arrives_as_it_was_said(rig: DialectRig, said: list[str]) -> None:
    text = "".join(said)
    assert heard(rig, [STARTED, *map(Delta, said), finished(text)]).text == text


def test_an_awkward_text_arrives_as_it_was_said(rig: DialectRig) -> None:
    assert heard(rig, [STARTED, Delta(AWKWARD), finished(AWKWARD)]).text == AWKWARD


def test_half_of_a_surrogate_pair_becomes_a_replacement(rig: DialectRig) -> None:
    assert heard(rig, [STARTED, Delta("a\ud800b"), finished("a\ufffdb")]).text == "a\ufffdb"


def test_neighbouring_deltas_may_be_told_together(rig: DialectRig) -> None:
    apart = heard(rig, [STARTED, Delta("Hel"), Delta("lo"), finished("Hello")])
    assert apart == heard(rig, [STARTED, Delta("Hello"), finished("Hello")])


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: type(event).__name__)
def test_every_frame_is_whole_and_its_values_are_one_line(rig: DialectRig, event: ReaderEvent) -> None:
    for frame in rig.dialect.encoder("ab").frames(event):
        if rig.dialect.media_type == "application/x-ndjson":
            assert frame.endswith(b"}\n")
            assert frame.count(b"\n") == 1
            continue
        if rig.dialect.media_type.startswith("text/plain"):
            continue
        assert frame.endswith(b"\n\n")
        assert frame.count(b"\n\n") == 1
        assert len(frame.decode().splitlines()) == frame.count(b"\n")
        assert not {0, ord("\r")} & set(frame)
        assert frame.startswith((b"data: ", b"event: "))


def test_what_it_cannot_say_it_leaves_out(rig: DialectRig) -> None:
    call = ToolCall("c", "weather", '{"city": "Graz"}')
    told = heard(rig, [STARTED, *BESIDE, Delta("It "), call, Delta("rains."), finished("It rains.")])
    assert told.text == "It rains."
    assert bool(told.reasoning) == ("reasoning" in rig.tells)
    assert told.progress == (2 if "progress" in rig.tells else 0)
    assert [name for name, _ in told.tools] == (["weather"] if "tools" in rig.tells else [])


@pytest.mark.parametrize("said", ["", "Hel"])
@pytest.mark.parametrize("started", [STARTED, CONTINUED], ids=["new session", "old session"])
def test_an_error_is_its_end_before_and_after_the_first_token(
    rig: DialectRig, started: Started, said: str
) -> None:
    told = heard(rig, [started, *([Delta(said)] if said else []), failed(said)])
    assert told.text == said
    if rig.error is None:
        assert told.ends == ()  # the connection is cut instead
    else:
        assert (told.error, told.ends) == ('It "is"\naway.', (rig.error,))


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_a_reply_that_is_whole_ends_as_the_dialect_says(rig: DialectRig, reason: str) -> None:
    told = heard(rig, [STARTED, Delta("Hello"), Finished(reason, ending("Hello"))])  # type: ignore[arg-type]
    assert told == Heard("Hello", ends=() if rig.complete is None else (rig.complete,))


@pytest.mark.parametrize("said", ["", "Hel"])
def test_a_reply_that_was_stopped_ends_as_the_dialect_says(rig: DialectRig, said: str) -> None:
    deltas = [Delta(said)] if said else []
    told = heard(rig, [STARTED, *deltas, Cancelled("user_stop", ending(said))])
    assert told == Heard(said, ends=() if rig.cancelled is None else (rig.cancelled,))


def test_a_heartbeat_between_any_two_frames_changes_nothing(rig: DialectRig) -> None:
    events = [STARTED, *BESIDE, Delta("a"), ToolCall("c", "f", "{}"), Delta("b"), finished("ab")]
    frames = told(rig.dialect.encoder("ab"), events)
    ping = rig.dialect.heartbeat
    last = ping if ping.startswith(b":") else b""  # a comment may stand behind the end
    assert rig.hear(ping + ping.join(frames) + last) == heard(rig, events)


def test_two_readers_have_nothing_in_common(rig: DialectRig) -> None:
    events: list[ReaderEvent] = [STARTED, Delta("a"), ToolCall("c", "f", "{}"), failed("a")]
    one, other = rig.dialect.encoder("ab"), rig.dialect.encoder("ab")
    both = [(list(one.frames(event)), list(other.frames(event))) for event in events]
    assert all(mine == yours for mine, yours in both)


@pytest.mark.parametrize("pace", [Pace(size=3), Pace("word")], ids=["characters", "words"])
def test_a_reply_that_came_whole_reads_like_one_that_came_by_token(rig: DialectRig, pace: Pace) -> None:
    text = "It came whole, 🙂 all of it."
    by_token = [STARTED, *map(Delta, text), finished(text)]
    paced = [STARTED, *map(Delta, pieces(text, pace)), finished(text)]
    assert heard(rig, paced) == heard(rig, by_token)


@resuming
async def test_on_a_resumable_stream_every_event_is_placed_by_its_last_frame(rig: DialectRig) -> None:
    events: list[ReaderEvent] = [STARTED, Delta("ab"), *BESIDE, ToolCall("c", "f", "{}"), failed("ab")]
    positions = [Position(seq, 2 if seq > 1 else 0) for seq in range(1, len(events) + 1)]
    pipe = Pipe()
    stream = ReplyStream(pipe, rig.dialect, rig.dialect.encoder("ab"), Pulse(15), with_ids=True)
    async with asyncio.timeout(30):
        await stream.serve_replay(pipe.send, [], list(zip(events, positions, strict=True)))
    frames = frames_of(pipe.received)
    encoder = rig.dialect.encoder("ab")
    placed: list[str | None] = []
    for event, position in zip(events, positions, strict=True):
        count = len(encoder.frames(event))
        placed += [None] * (count - 1) + ([str(position)] if count else [])
    assert [frame.id for frame in frames] == placed
    assert rig.hear(pipe.received) == heard(rig, events)


@resuming
@pytest.mark.parametrize("last", [finished(""), Cancelled("user_stop", ending("")), failed("")])
async def test_on_a_resumable_stream_the_end_is_always_placed(rig: DialectRig, last: Terminal) -> None:
    pipe = Pipe()
    stream = ReplyStream(pipe, rig.dialect, rig.dialect.encoder("ab"), Pulse(15), with_ids=True)
    async with asyncio.timeout(30):
        await stream.serve_replay(pipe.send, [], [(STARTED, Position(1, 0)), (last, Position(2, 0))])
    assert frames_of(pipe.received)[-1].id == "2-0"
