"""The order of Anthropic's Messages stream."""

import json
from typing import Any

from tests.dialects.order.frames import Heard, frames_of

STOP_REASONS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"}
DELTAS = {"text": "text_delta", "tool_use": "input_json_delta"}


def hear(body: bytes) -> Heard:
    heard = Heard()
    events: list[dict[str, Any]] = []
    for frame in frames_of(body):
        if frame.data is None:
            continue
        event = json.loads(frame.data)
        assert frame.name == event["type"], "the event's name and its type differ"
        if event["type"] != "ping":
            events.append(event)
    state = _Message(heard)
    for event in events:
        state.hear(event)
    assert heard.ends, "the stream just ends"
    return heard


class _Message:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._began = False
        self._blocks = 0
        self._open: dict[str, Any] | None = None
        self._signed = False
        self._input = ""
        self._stop_reason: str | None = None

    def hear(self, event: dict[str, Any]) -> None:
        assert not self._heard.ends, "an event behind the end"
        if event["type"] == "error":
            assert set(event) <= {"type", "error", "request_id"}
            self._heard.error = event["error"]["message"]
            assert event["error"]["type"]
            self._heard.ends = ("error",)
            return
        if event["type"] == "message_start":
            self._start(event["message"])
            return
        assert self._began, f"{event['type']} before message_start"
        assert self._stop_reason is None or event["type"] == "message_stop", "after message_delta"
        match event["type"]:
            case "content_block_start":
                self._block(event)
            case "content_block_delta":
                self._delta(event)
            case "content_block_stop":
                self._stop(event)
            case "message_delta":
                self._end(event)
            case "message_stop":
                assert self._stop_reason is not None, "message_stop before message_delta"
                self._heard.ends = ("complete",)
            case unknown:
                raise AssertionError(f"an unknown event: {unknown}")

    def _start(self, message: dict[str, Any]) -> None:
        assert not self._began, "a second message_start"
        self._began = True
        assert message["content"] == []
        assert message["stop_reason"] is None
        assert message["role"] == "assistant"
        assert message["model"]
        _check_usage(message["usage"])

    def _block(self, event: dict[str, Any]) -> None:
        assert self._open is None, "a block inside a block"
        assert event["index"] == self._blocks, "a hole in the indices"
        block = event["content_block"]
        match block["type"]:
            case "text":
                assert block["text"] == ""
            case "thinking":
                assert (block["thinking"], block["signature"]) == ("", "")
            case "tool_use":
                assert block["input"] == {}
                assert block["id"]
            case unknown:
                raise AssertionError(f"an unknown block: {unknown}")
        self._open, self._signed, self._input = block, False, ""

    def _delta(self, event: dict[str, Any]) -> None:
        assert self._open is not None, "a delta outside of a block"
        assert event["index"] == self._blocks
        delta = event["delta"]
        match self._open["type"], delta["type"]:
            case "text", "text_delta":
                self._heard.text += delta["text"]
            case "thinking", "thinking_delta":
                assert not self._signed, "more thinking behind the signature"
                self._heard.reasoning += delta["thinking"]
            case "thinking", "signature_delta":
                assert delta["signature"]
                self._signed = True
            case "tool_use", "input_json_delta":
                self._input += delta["partial_json"]
            case pair:
                raise AssertionError(f"a delta of another kind: {pair}")

    def _stop(self, event: dict[str, Any]) -> None:
        assert self._open is not None, "content_block_stop twice"
        assert event["index"] == self._blocks
        if self._open["type"] == "tool_use":
            assert isinstance(json.loads(self._input or "{}"), dict), "an input that is no object"
            self._heard.tools += ((self._open["name"], self._input),)
        assert self._open["type"] != "thinking" or self._signed, "thinking without a signature"
        self._open = None
        self._blocks += 1

    def _end(self, event: dict[str, Any]) -> None:
        assert self._open is None, "the message ends inside a block"
        assert event["delta"]["stop_reason"] in STOP_REASONS
        _check_usage(event["usage"])
        self._stop_reason = event["delta"]["stop_reason"]


def _check_usage(usage: dict[str, Any]) -> None:
    assert isinstance(usage["output_tokens"], int)
