"""Server-sent events are cut at the right places, however the network cut them."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.errors import ProtocolViolation
from transports.llama.sse_framer import MAX_FRAME_BYTES, ErrorData, SseFramer

LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)


def frames_of(*received: bytes) -> list[bytes]:
    framer = SseFramer()
    return [frame for part in received for frame in framer.feed(part)]


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="LF"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="CRLF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [b"a", b"b"], id="CR"),
        pytest.param(b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"], id="mixed"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="several lines of data"),
        pytest.param(b"data:a\n\n", [b"a"], id="no space"),
        pytest.param(b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"], id="several lines that end with CRLF"),
        pytest.param(b"data:  a\n\n", [b" a"], id="only one space is dropped"),
        pytest.param(b"data:  a\ndata:  b\n\n", [b" a\n b"], id="only one space of each line is dropped"),
        pytest.param(b"data\n\n", [b""], id="a field without a colon"),
        pytest.param(b": ping\n\n:\n\ndata: a\n\n", [b"a"], id="comments"),
        pytest.param(b":\ndata: a\n:\n\n", [b"a"], id="a comment inside an event"),
        pytest.param(b"event: x\nid: 1\nretry: 5\ndata: a\n\nid: 2\n\n", [b"a"], id="other fields"),
        pytest.param(b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"], id="blank lines"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [b"a"], id="a byte order mark"),
        pytest.param(b"database: x\n\n", [], id="a field that only begins like data"),
        pytest.param(b"data: a\n", [], id="an event without its blank line"),
        pytest.param(
            "data: \u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\n\n".encode(),
            ["\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e".encode()],
            id="what other readers take for line ends",
        ),
    ],
)
def test_every_cut_of_a_stream_gives_the_same_frames(stream: bytes, frames: list[bytes]) -> None:
    assert frames_of(stream) == frames
    assert frames_of(*(stream[at : at + 1] for at in range(len(stream)))) == frames
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            assert frames_of(stream[:first], stream[first:second], stream[second:]) == frames


@settings(deadline=None)
@given(
    st.lists(st.lists(LINE, min_size=1, max_size=3)),
    st.randoms(use_true_random=False),
    st.lists(st.integers(min_value=0, max_value=400)),
)
def test_data_survives_any_mixture_of_line_ends_and_cuts(
    events: list[list[str]], chance: Random, cuts: list[int]
) -> None:
    stream = b""
    for lines in events:
        for line in [*(f"data: {line}" for line in lines), ""]:
            ends = [b"\n", b"\r\n", b"\r"]
            if not line and stream.endswith(b"\r"):
                ends.remove(b"\n")  # after a CR it would be the same line's end
            stream += line.encode() + chance.choice(ends)
    edges = [0, *sorted(cuts), len(stream)]
    parts = [stream[start:end] for start, end in pairwise(edges)]
    assert frames_of(*parts) == ["\n".join(lines).encode() for lines in events]


def test_an_event_without_an_end_is_refused_when_it_is_too_long() -> None:
    framer = SseFramer()
    assert framer.feed(b"data: a\n\n" + b"x" * MAX_FRAME_BYTES) == [b"a"]
    assert framer.feed(b"x") == []
    with pytest.raises(ProtocolViolation):
        framer.feed(b"x")


def test_what_the_end_cut_off_can_be_looked_at() -> None:
    framer = SseFramer()
    framer.feed(b"data: a\n\ndata: b\n")
    assert framer.unfinished() == [b"b"]
    assert SseFramer().unfinished() == []


@pytest.mark.parametrize(
    ("block", "frames", "errors"),
    [
        (b"error: a", [b"a"], 1),
        (b"event: error\ndata: a", [b"a"], 1),
        (b"data: a\nevent: error", [b"a"], 1),
        (b"event: error", [b""], 1),
        (b"error: a\ndata: b", [b"a", b"b"], 1),
        (b"event: errors\ndata: a", [b"a"], 0),
        (b'{"a": 1}', [b'{"a": 1}'], 0),
        (b'{\n"a": 1\n}', [b'{\n"a": 1\n}'], 0),
        (b" [1]\ndata: b", [b" [1]", b"b"], 0),
        (b"<html>\nhi", [], 0),
    ],
)
def test_errors_are_heard_where_no_data_stands(block: bytes, frames: list[bytes], errors: int) -> None:
    heard = frames_of(block + b"\n\n")
    assert heard == frames
    assert sum(isinstance(frame, ErrorData) for frame in heard) == errors


def test_an_event_in_many_parts_is_not_joined_again_for_each() -> None:
    framer = SseFramer()
    framer.feed(b"data: ")
    rest = framer._rest
    for _ in range(1000):
        assert framer.feed(b"x" * 100) == []
        assert framer._rest is rest
    assert framer.feed(b"\n") == []
    assert framer.feed(b"\ndata: b\n\n") == [b"x" * 100_000, b"b"]
