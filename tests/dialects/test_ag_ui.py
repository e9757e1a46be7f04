"""AG-UI's messages: those that tool calls belong to, and one that an error interrupts."""

import json

import pytest

from gateway.contract.events import Delta, Failed, ReaderEvent, Reasoning, ToolCall
from gateway.dialects.ag_ui import AgUi
from tests.dialects.replies import ending

FAILED = Failed("upstream_error", "upstream_error", "The model broke.", True, ending("Hel"))


def test_calls_after_another_message_belong_to_a_new_one() -> None:
    """Older clients make a second message with the same id else."""
    encoder = AgUi("t", "r").encoder("s")
    events: list[ReaderEvent] = [
        Reasoning("First."),
        ToolCall("1", "a", "{}"),
        ToolCall("2", "b", "{}"),
        Reasoning("Then."),
        ToolCall("3", "c", "{}"),
        Delta("Text."),
        ToolCall("4", "d", "{}"),
    ]
    told = [json.loads(frame.removeprefix(b"data: ")) for event in events for frame in encoder.frames(event)]
    parents = {one["toolCallId"]: one["parentMessageId"] for one in told if one["type"] == "TOOL_CALL_START"}
    begun = {one["messageId"] for one in told if one["type"].endswith("MESSAGE_START")}
    assert parents["1"] == parents["2"]
    assert parents["4"] in begun
    assert len({parents[id] for id in "134"}) == 3


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        (Delta("Hel"), ["TEXT_MESSAGE_END"]),
        (Reasoning("Hm"), ["REASONING_MESSAGE_END", "REASONING_END"]),
        (ToolCall("1", "a", "{}"), []),
    ],
)
def test_a_message_ends_before_the_error_that_interrupts_it(said: ReaderEvent, ends: list[str]) -> None:
    """Clients before 0.0.42 report the order of the events instead of the error."""
    encoder = AgUi("t", "r").encoder("s")
    begun = encoder.frames(said)
    failed = encoder.frames(FAILED)
    told = [json.loads(frame.removeprefix(b"data: "))["type"] for frame in failed]
    assert begun
    assert told == [*ends, "RUN_ERROR"]
