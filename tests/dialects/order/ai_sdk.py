"""The order of the AI SDK's chunks, as its strictest versions check it and stricter."""

import json
from typing import Any

from tests.dialects.order.frames import Heard, frames_of, unnamed

KEYS = {
    "start": {"messageId"},
    "start-step": set(),
    "text-start": {"id"},
    "text-delta": {"id", "delta"},
    "text-end": {"id"},
    "reasoning-start": {"id"},
    "reasoning-delta": {"id", "delta"},
    "reasoning-end": {"id"},
    "tool-input-start": {"toolCallId", "toolName"},
    "tool-input-delta": {"toolCallId", "inputTextDelta"},
    "tool-input-available": {"toolCallId", "toolName", "input"},
    "data-sluice": {"data", "transient"},
    "finish-step": set(),
    "finish": {"finishReason", "messageMetadata"},
    "message-metadata": {"messageMetadata"},
    "abort": set(),
    "error": {"errorText"},
}
FINISH_REASONS = {"stop", "length", "content-filter", "tool-calls", "error", "other"}


def hear(body: bytes) -> Heard:
    heard = Heard()
    message = _Message(heard)
    is_done = False
    for data in unnamed(frames_of(body)):
        assert not is_done, "a frame behind [DONE]"
        if data == "[DONE]":
            is_done = True
            continue
        chunk = json.loads(data)
        extra = set(chunk) - {"type"} - KEYS[chunk["type"]]
        assert not extra, f"keys that old clients do not know: {extra}"
        message.hear(chunk)
    assert heard.ends, "the stream just ends"
    assert is_done, "no [DONE] behind the end"
    return heard


class _Message:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._open: set[tuple[str, str]] = set()
        self._used: set[str] = set()
        self._calls: dict[str, str] = {}
        self._began = False
        self._in_step = False

    def hear(self, chunk: dict[str, Any]) -> None:
        assert not self._heard.ends, "a chunk behind the end"
        match chunk["type"]:
            case "start":
                assert not self._began, "start twice"
                assert chunk.get("messageId", "x")
                self._began = True
            case "start-step":
                assert self._began
                assert not self._in_step
                self._in_step = True
            case "text-start" | "reasoning-start" as kind:
                self._begin(kind.partition("-")[0], chunk["id"])
            case "text-delta":
                self._heard.text += self._delta("text", chunk)
            case "reasoning-delta":
                self._heard.reasoning += self._delta("reasoning", chunk)
            case "text-end" | "reasoning-end" as kind:
                self._open.remove((kind.partition("-")[0], chunk["id"]))
            case "tool-input-start":
                assert self._in_step
                assert chunk["toolCallId"] not in self._calls
                self._calls[chunk["toolCallId"]] = ""
            case "tool-input-delta":
                self._calls[chunk["toolCallId"]] += chunk["inputTextDelta"]
            case "tool-input-available":
                assert chunk["toolCallId"] in self._calls
                self._heard.tools += ((chunk["toolName"], chunk["input"]),)
            case "data-sluice":
                assert chunk["transient"] is True
                self._heard.progress += 1
            case "finish-step":
                assert not self._open, f"still open: {self._open}"
                assert self._in_step
                self._in_step = False
            case "finish":
                assert not self._in_step
                assert chunk["finishReason"] in FINISH_REASONS
                self._heard.ends = ("complete",)
            case "message-metadata":
                assert isinstance(chunk["messageMetadata"], dict)
            case "abort":
                assert not self._open, f"still open: {self._open}"
                self._heard.ends = ("cancelled",)
            case "error":
                self._heard.error = chunk["errorText"]
                self._heard.ends = ("error",)

    def _begin(self, kind: str, id: str) -> None:
        assert self._in_step, "a part outside of a step"
        assert not self._open, "a part inside a part"
        assert id not in self._used, f"the id {id} is used twice"
        self._used.add(id)
        self._open.add((kind, id))

    def _delta(self, kind: str, chunk: dict[str, Any]) -> str:
        assert (kind, chunk["id"]) in self._open, "a delta without its start"
        delta: str = chunk["delta"]
        return delta
