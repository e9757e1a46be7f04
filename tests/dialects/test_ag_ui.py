"""The messages that AG-UI's tool calls belong to."""

import json

from gateway.contract.events import Delta, ReaderEvent, Reasoning, ToolCall
from gateway.dialects.ag_ui import AgUi


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
