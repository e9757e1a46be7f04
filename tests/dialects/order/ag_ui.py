"""The order of AG-UI's events, as `@ag-ui/client` checks it and stricter."""

import json
from typing import Any

from tests.dialects.order.frames import Heard, frames_of, unnamed


def hear(body: bytes) -> Heard:
    heard = Heard()
    assert b"\r" not in body, "CRLF"
    run = _Run(heard)
    for data in unnamed(frames_of(body)):
        event = json.loads(data)
        assert not heard.ends, "an event behind the end"
        assert None not in event.values(), "null for an absent key"
        run.hear(event)
    assert heard.ends, "the stream just ends"
    return heard


class _Run:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._run: tuple[str, str] | None = None
        self._open: tuple[str, str] | None = None
        self._used: set[str] = set()
        self._arguments = ""
        self._name = ""

    def hear(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "RUN_ERROR":
            self._heard.error = event["message"]
            self._heard.ends = ("error",)
            return
        if kind == "RUN_STARTED":
            assert self._run is None, "RUN_STARTED twice"
            self._run = event["threadId"], event["runId"]
            return
        assert self._run is not None, f"{kind} before RUN_STARTED"
        match kind:
            case "TEXT_MESSAGE_START":
                assert event["role"] == "assistant"
                self._begin("text", event["messageId"])
            case "TEXT_MESSAGE_CONTENT":
                self._heard.text += self._delta("text", event["messageId"], event["delta"])
            case "TEXT_MESSAGE_END":
                self._end("text", event["messageId"])
            case "REASONING_START" | "REASONING_END":
                assert event["messageId"]
                assert self._open is None
            case "REASONING_MESSAGE_START":
                assert event["role"] == "reasoning"
                self._begin("reasoning", event["messageId"])
            case "REASONING_MESSAGE_CONTENT":
                self._heard.reasoning += self._delta("reasoning", event["messageId"], event["delta"])
            case "REASONING_MESSAGE_END":
                self._end("reasoning", event["messageId"])
            case "TOOL_CALL_START":
                self._begin("call", event["toolCallId"])
                self._name, self._arguments = event["toolCallName"], ""
            case "TOOL_CALL_ARGS":
                assert self._open == ("call", event["toolCallId"])
                self._arguments += event["delta"]
            case "TOOL_CALL_END":
                self._end("call", event["toolCallId"])
                self._heard.tools += ((self._name, self._arguments),)
            case "CUSTOM":
                assert "value" in event
                self._heard.progress += event["name"] == "sluice.progress"
            case "RUN_FINISHED":
                self._finish(event)
            case unknown:
                raise AssertionError(f"an unknown event: {unknown}")

    def _begin(self, kind: str, id: str) -> None:
        assert self._open is None, f"{kind} begins inside {self._open}"
        assert id not in self._used, f"the id {id} is used twice"
        self._used.add(id)
        self._open = kind, id

    def _delta(self, kind: str, id: str, delta: str) -> str:
        assert self._open == (kind, id)
        assert delta, "an empty delta"
        return delta

    def _end(self, kind: str, id: str) -> None:
        assert self._open == (kind, id)
        self._open = None

    def _finish(self, event: dict[str, Any]) -> None:
        assert self._open is None, f"the run ends inside {self._open}"
        assert (event["threadId"], event["runId"]) == self._run
        outcome = event.get("outcome", {"type": "success"})
        assert outcome["type"] in {"success", "cancelled"}
        self._heard.ends = ("cancelled" if outcome["type"] == "cancelled" else "complete",)
