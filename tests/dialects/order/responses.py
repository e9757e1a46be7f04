"""The order of the Responses events."""

import json
from typing import Any

from tests.dialects.order.frames import Heard, frames_of

REQUIRED = {"id", "object", "created_at", "model", "status", "output", "error", "incomplete_details", "usage"}
REQUIRED |= {
    "instructions",
    "metadata",
    "parallel_tool_calls",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
}


def hear(body: bytes) -> Heard:
    heard = Heard()
    response = _Response(heard)
    for frame in frames_of(body):
        if frame.data is None:
            continue
        event = json.loads(frame.data)
        assert frame.name == event["type"], "the event's name and its type differ"
        response.hear(event)
    assert heard.ends, "the stream just ends"
    return heard


class _Response:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._number = 0
        self._item: dict[str, Any] | None = None
        self._part: str | None = None
        self._summary = False
        self._text = ""
        self._items: list[dict[str, Any]] = []
        self._error: str | None = None

    def hear(self, event: dict[str, Any]) -> None:
        assert not self._heard.ends, "an event behind the end"
        assert event["sequence_number"] == self._number, "a hole in the sequence numbers"
        expected = {0: "response.created", 1: "response.in_progress"}.get(self._number)
        assert expected is None or event["type"] == expected, f"{event['type']} comes first"
        self._number += 1
        kind = event["type"].removeprefix("response.")
        if kind == "error":
            assert self._error is None, "a second error"
            assert event["error"]["message"] == event["message"]
            self._error = event["message"]
            return
        assert event.get("error") is None, "a truthy key `error`"
        assert self._error is None or kind == "failed", "an event behind the error"
        if "response" in event:
            self._whole(kind, event["response"])
            return
        assert event["output_index"] == len(self._items)
        if kind == "output_item.added":
            self._added(event["item"])
            return
        assert self._item is not None, f"{kind} outside of an item"
        if kind == "output_item.done":
            self._done(event["item"])
            return
        assert event["item_id"] == self._item["id"]
        match self._item["type"]:
            case "message":
                self._in_message(kind, event)
            case "reasoning":
                self._in_reasoning(kind, event)
            case _:
                self._in_call(kind, event)

    def _whole(self, kind: str, response: dict[str, Any]) -> None:
        assert set(response) >= REQUIRED, f"missing: {REQUIRED - set(response)}"
        match kind:
            case "created" | "in_progress":
                assert response["status"] == "in_progress"
                assert response["output"] == []
                return
            case "failed":
                assert response["error"]["message"] == self._error, "a failure that clients do not raise"
                self._heard.error = self._error
                self._heard.ends = ("error",)
            case "completed" | "incomplete":
                assert self._item is None, "the response ends inside an item"
                assert response["status"] == kind
                assert response["output"] == self._items
                assert (kind == "incomplete") == (response["incomplete_details"] is not None)
                self._heard.ends = ("complete",)
            case unknown:
                raise AssertionError(f"an unknown event: {unknown}")

    def _added(self, item: dict[str, Any]) -> None:
        assert self._item is None, "an item inside an item"
        assert item["status"] == "in_progress"
        assert item["id"] not in {done["id"] for done in self._items}
        self._item, self._part, self._text, self._summary = item, None, "", False

    def _done(self, item: dict[str, Any]) -> None:
        assert self._item is not None
        assert self._part in (None, "done"), "the item ends inside a part"
        assert (item["id"], item["type"]) == (self._item["id"], self._item["type"])
        assert item["status"] in {"completed", "incomplete"}
        if item["type"] == "message":
            assert "".join(part["text"] for part in item["content"]) == self._text
        if item["type"] in ("function_call", "custom_tool_call"):
            given = item["arguments" if item["type"] == "function_call" else "input"]
            assert given == self._text
            self._heard.tools += ((item["name"], given),)
        if item["type"] == "reasoning":
            assert self._summary, "reasoning without a summary"
        self._items.append(item)
        self._item = None

    def _in_message(self, kind: str, event: dict[str, Any]) -> None:
        assert event["content_index"] == 0
        match kind:
            case "content_part.added":
                assert self._part is None
                self._part = "open"
            case "output_text.delta":
                assert self._part == "open", "text outside of a part"
                assert event["logprobs"] == []
                self._text += event["delta"]
                self._heard.text += event["delta"]
            case "output_text.done":
                assert event["text"] == self._text
            case "content_part.done":
                assert self._part == "open"
                assert event["part"]["text"] == self._text
                self._part = "done"
            case unknown:
                raise AssertionError(f"an unknown event in a message: {unknown}")

    def _in_reasoning(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "content_part.added":
                assert self._part is None
                assert event["part"] == {"type": "reasoning_text", "text": ""}
                self._part = "open"
            case "reasoning_text.delta":
                assert self._part == "open", "reasoning outside of a part"
                self._text += event["delta"]
                self._heard.reasoning += event["delta"]
            case "content_part.done":
                assert self._part == "open"
                self._part = "done"
            case "reasoning_text.done":
                assert event["text"] == self._text
            case "reasoning_summary_part.added" | "reasoning_summary_part.done":
                assert event["summary_index"] == 0
            case "reasoning_summary_text.delta":
                assert event["delta"] == self._text
            case "reasoning_summary_text.done":
                assert event["text"] == self._text
                self._summary = True
            case unknown:
                raise AssertionError(f"an unknown event in reasoning: {unknown}")

    def _in_call(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "function_call_arguments.delta":
                self._text += event["delta"]
            case "function_call_arguments.done":
                assert event["arguments"] == self._text
            case "custom_tool_call_input.delta":
                self._text += event["delta"]
            case "custom_tool_call_input.done":
                assert event["input"] == self._text
            case unknown:
                raise AssertionError(f"an unknown event in a call: {unknown}")
