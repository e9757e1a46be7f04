"""Wrong side fields of a worker's frames are ignored: its text and tool calls still arrive."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.errors import ContextExceeded, ProtocolViolation, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, TransportEvent, Usage
from transports.mqtt.protocol.error_frames import error_said
from transports.mqtt.protocol.frame_codec import decode_reply
from transports.mqtt.protocol.frames import AcceptFrame, ErrorFrame, Status, epoch_of
from transports.mqtt.requests.frame_order import Attempt
from transports.mqtt.requests.presence import KnownWorker

FULL = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
HUGE = 2**53 - 1
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def heard(*said: dict[str, Any]) -> list[TransportEvent | Done]:
    """Return the events of these frames, which get their id and numbers here."""
    attempt = Attempt("a", KnownWorker("w", Status("ready"), 0.0), model="tiny", now=0.0)
    for seq, fields in enumerate(said, 1):
        payload = json.dumps({"id": "a", "seq": seq, **fields}).encode()
        frame = decode_reply(payload)
        assert not isinstance(frame, ErrorFrame)
        attempt.take(frame, len(payload), 1.0)
    assert attempt.done is not None
    events = [*attempt.events, *(attempt.done.whole or ()), attempt.done]
    for event in events:
        repr(event).encode()  # fails on a lone surrogate
    return events


def chunk(text: str) -> dict[str, Any]:
    return {"type": "chunk", "text": text}


def tool_call(**call: Any) -> dict[str, Any]:
    return {"type": "tool_call", "call": call}


END: dict[str, Any] = {"type": "end"}
DONE = Done("stop", "tiny")


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ("many", None),
        (7, None),
        ({"prompt_tokens": None, "completion_tokens": None}, None),
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": -3, "completion_tokens": 1}, None),
        ({"prompt_tokens": 3.5, "completion_tokens": 1}, None),
        ({"prompt_tokens": True, "completion_tokens": 1}, None),
        ({"prompt_tokens": HUGE, "completion_tokens": HUGE}, None),
        ({"prompt_tokens": 10**9 + 1, "completion_tokens": 1}, None),
        ({"prompt_tokens": 2**70, "completion_tokens": 1}, None),
        ({"prompt_tokens": float("nan"), "completion_tokens": 1}, None),
        (FULL, Usage(3, 1, 4)),
        ({"prompt_tokens": 3.0, "completion_tokens": 1.0}, Usage(3, 1, 4)),
        (FULL | {"total_tokens": None}, Usage(3, 1, 4)),
        (FULL | {"total_tokens": HUGE}, Usage(3, 1, 4)),
        (FULL | {"total_tokens": 0}, Usage(3, 1, 4)),
        (FULL | {"total_tokens": 9}, Usage(3, 1, 9)),
        (FULL | {"tokens_per_s": "fast"}, Usage(3, 1, 4)),
        (FULL | {"tokens_per_s": float("inf")}, Usage(3, 1, 4)),
        (FULL | {"tokens_per_s": -1}, Usage(3, 1, 4)),
        (FULL | {"tokens_per_s": 12.5, "more": [None]}, Usage(3, 1, 4, 12.5)),
    ],
)
@pytest.mark.parametrize("kind", ["end", "reply"])
def test_usage_is_told_where_it_is_known_and_never_ends_a_reply(
    kind: str, usage: Any, told: Usage | None
) -> None:
    said = [chunk("A"), {**END, "usage": usage}]
    if kind == "reply":
        said = [{"type": "reply", "text": "A", "usage": usage}]
    assert [event for event in heard(*said) if isinstance(event, Usage)] == ([told] if told else [])


@settings(deadline=None)
@given(usage=anything, reason=anything, queue=anything, position=anything, processed=anything, more=anything)
def test_no_side_field_decides_anything(
    usage: Any, reason: Any, queue: Any, position: Any, processed: Any, more: Any
) -> None:
    if isinstance(reason, str):
        reason = None  # other tests cover the known reasons
    events = heard(
        {"type": "progress", "phase": "prompt", "position": position, "processed": processed, "total": more},
        {**chunk("A"), "more": more},
        {"type": "alive", "more": more},
        {**END, "usage": usage, "reason": reason, "more": more},
    )
    assert [event for event in events if isinstance(event, Delta | Done)] == [Delta("A"), DONE]
    accepted = decode_reply(json.dumps({"type": "accept", "id": "a", "queue": queue}).encode())
    assert accepted.id == "a"


def test_progress_keeps_the_counts_that_can_be_used() -> None:
    events = heard({"type": "progress", "phase": "prompt", "processed": 2.0, "total": -1}, END)
    assert events[0] == Progress("prompt", processed=2)


def test_an_accept_without_a_usable_epoch_is_one() -> None:
    for epoch in (None, -1, "1"):
        frame = decode_reply(json.dumps({"type": "accept", "id": "a", "epoch": epoch}).encode())
        assert isinstance(frame, AcceptFrame)
        assert epoch_of(frame) == 0


def test_whole_numbers_may_be_written_as_floats() -> None:
    assert heard({**chunk("A"), "seq": 1.0}, {**END, "seq": 2.0, "length": 1.0}) == [Delta("A"), DONE]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["\ud83d", "\ude00"], "😀"),
        (["a\ud83d", "\ude00b\ud83d", "\ude00"], "a😀b😀"),
        (["a\ud83d"], "a\ufffd"),
        (["\ude00a"], "\ufffda"),
        (["\ud83d", "x"], "\ufffdx"),
        (["\ud83d", "\ud83d\ude00"], "\ufffd😀"),
    ],
)
def test_half_a_character_waits_for_the_other_half(pieces: list[str], text: str) -> None:
    events = heard(*map(chunk, pieces), {**END, "length": len(text)})
    assert "".join(event.text for event in events if isinstance(event, Delta)) == text
    thoughts = heard(*({"type": "reasoning", "text": piece} for piece in [*pieces, "."]), END)
    assert "".join(event.text for event in thoughts if isinstance(event, Reasoning)) == text + "."
    whole = heard({"type": "reply", "text": "".join(pieces)})
    assert whole == [Delta(text), Done("stop", "tiny", (Delta(text),))]


@settings(deadline=None)
@given(text=st.text(max_size=12), cuts=st.lists(st.integers(0, 24)))
def test_text_cut_between_any_two_units_of_utf_16_arrives_whole(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le")
    edges = sorted({0, len(units), *(min(2 * cut, len(units)) for cut in cuts)})
    pieces = [units[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(edges)]
    events = heard(*map(chunk, pieces), {**END, "length": len(text)})
    assert "".join(event.text for event in events if isinstance(event, Delta)) == text


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"id": "c", "name": "f", "arguments": {"x": 1}}, ToolCall("c", "f", '{"x":1}')),
        ({"id": "c", "name": "f", "arguments": {}}, ToolCall("c", "f", "{}")),
        ({"id": "c", "name": "f", "arguments": None}, ToolCall("c", "f", "{}")),
        ({"id": "c", "name": "f", "arguments": ""}, ToolCall("c", "f", "{}")),
        ({"id": "c", "name": "f"}, ToolCall("c", "f", "{}")),
        ({"id": "c", "name": "f", "arguments": '{"x'}, ToolCall("c", "f", '{"x')),
        ({"id": 7, "name": "f", "arguments": "{}"}, ToolCall("7", "f", "{}")),
        ({"id": None, "name": "f", "arguments": "{}"}, ToolCall("call_0", "f", "{}")),
        ({"name": "f", "arguments": '{"x":"\ud83d"}'}, ToolCall("call_0", "f", '{"x":"\ufffd"}')),
    ],
)
def test_a_tool_call_is_understood_in_any_shape(call: Any, told: ToolCall) -> None:
    assert heard(tool_call(**call), {**END, "reason": "stop"}) == [told, Done("tool_calls", "tiny")]


def test_two_tool_calls_never_share_an_id() -> None:
    events = heard(tool_call(id="c", name="f"), tool_call(id="c", name="g"), tool_call(name="h"), END)
    ids = [event.id for event in events if isinstance(event, ToolCall)]
    assert len(set(ids)) == 3


def test_a_tool_call_without_a_name_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        heard(tool_call(id="c", arguments="{}"))


@pytest.mark.parametrize("reason", ["error", "abort", "Error"])
def test_a_reply_that_the_model_gave_up_has_failed(reason: str) -> None:
    with pytest.raises(UpstreamFailed):
        heard(chunk("A"), {**END, "reason": reason})


@pytest.mark.parametrize(
    ("said", "told"), [("content_filter", "content_filter"), ("eos", "stop"), (7, "stop")]
)
def test_a_reason_is_one_of_ours(said: Any, told: str) -> None:
    assert heard(chunk("A"), {**END, "reason": said})[-1] == Done(told, "tiny")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message", "kind"),
    [
        ({"code": None, "message": "boom"}, "boom", UpstreamFailed),
        ({"code": 500, "message": "boom"}, "boom", UpstreamFailed),
        ({"message": {"error": {"message": "boom"}}}, "boom", UpstreamFailed),
        ({"error": {"message": "boom"}, "message": None}, "boom", UpstreamFailed),
        ({"message": None}, "the worker could not answer", UpstreamFailed),
        ({"message": "boom", "retryable": "yes"}, "boom", UpstreamFailed),
        ({"message": "boom", "retryable": None, "broke_off": -1}, "boom", UpstreamFailed),
        ({"message": "half \ud83d"}, "half \ufffd", UpstreamFailed),
        ({"message": "Requested tokens (5000) exceed context window of 4096"}, None, ContextExceeded),
        ({"code": "model_refused", "message": "Context size has been exceeded."}, None, ContextExceeded),
        ({"code": "context_length_exceeded", "message": "no"}, "no", ContextExceeded),
    ],
)
def test_an_error_is_heard_whatever_is_wrong_with_its_fields(
    fields: dict[str, Any], message: str | None, kind: type[Exception]
) -> None:
    frame = decode_reply(json.dumps({"type": "error", "id": "a", **fields}).encode())
    assert isinstance(frame, ErrorFrame)
    error = error_said(frame)
    assert type(error) is kind
    assert message in (None, str(error))
