"""Encodes one reply as the events of OpenAI's Responses, which open, fill and close its items.

Source: OpenAI API reference, "Streaming events" of Responses; the clients' parsers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Reason,
    Reasoning,
    Started,
    ToolCall,
)
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.overflow_words import api_message
from gateway.dialects.response_objects import (
    Item,
    call_item,
    message_item,
    reasoning_item,
    response_json,
    text_part,
)
from gateway.dialects.response_tool_names import ToolName, custom_input, tool_names

_ENDS = (b"response.completed", b"response.incomplete", b"response.failed", b"error")
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_EMPTY_PART = json_bytes(text_part(""))


class ResponsesEncoder:
    """Encodes one reply. At most one item is open; the last event repeats all finished items.

    Events up to `after` are numbered but not sent.
    response: the response object; whole after the last event.
    """

    def __init__(
        self,
        stream_id: str,
        head: Mapping[str, Any],
        *,
        after: int | None = None,
        numbered: bool = True,
        end_lost: bool = False,
    ) -> None:
        self._stream_id = stream_id
        self._head = head
        self._tools = tool_names(head.get("tools", ()))
        self._after = -1 if after is None else after
        self._number = 0
        self._numbered = numbered
        self._end_lost = end_lost
        self.response: dict[str, Any] = response_json(head, "in_progress")
        self._output: list[Item] = []
        self._output_json: list[msgspec.Raw] = []
        self._open: str | None = None
        self._item_id = ""
        self._text: list[str] = []
        self._before_delta = self._after_delta = b""

    @property
    def output(self) -> Sequence[Item]:
        """The finished items."""
        return self._output

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            if self._open == "message":
                return self._delta(event.text)
            return [*self._message_opened(), *self._delta(event.text)]
        match event:
            case Started():
                return self._begun()
            case Reasoning(text):
                return [*self._reasoning_opened(), *self._delta(text)]
            case ToolCall():
                return [*self._closed(), *self._call(event)]
            case Finished(reason, ending):
                return [*self._closed(_item_status(reason)), *self._end(reason, ending)]
            case Cancelled(reason, ending):
                return [*self._closed("incomplete"), *self._end(reason, ending)]
            case Failed():
                message = api_message(event.message, event.code)
                closing = [*self._closed("incomplete"), *self._error(event.code, message)]
                failed = response_json(self._head, "failed", self._output, error=message)
                # No frame at all would mean that this dialect cannot tell a failure.
                return [*closing, *self._over(failed)] or [b""]
            case _:
                return []

    def _begun(self) -> list[bytes]:
        """Return the two events of which each has the whole response; it is encoded once."""
        fields = b'"response":' + json_bytes(self.response)
        return [
            *self._encoded(b"response.created", fields),
            *self._encoded(b"response.in_progress", fields),
        ]

    def _delta(self, text: str) -> list[bytes]:
        """Return the next piece of the open item. Called for every token: faster without a dict."""
        self._text.append(text)
        number, self._number = self._number, self._number + 1
        if number <= self._after or not self._numbered:
            return []
        return [
            b'%b%b%b,"sequence_number":%d}\n\n'
            % (self._before_delta, json_bytes(text), self._after_delta, number)
        ]

    def _message_opened(self) -> list[bytes]:
        closing = self._closed()
        place = self._begin("message", "msg", b"response.output_text.delta", b',"logprobs":[]')
        item = json_bytes(message_item(self._item_id, "in_progress", []))
        added = b'"output_index":%d,"item":%b' % (len(self._output), item)
        return [
            *closing,
            *self._encoded(b"response.output_item.added", added),
            *self._encoded(b"response.content_part.added", place + b',"part":' + _EMPTY_PART),
        ]

    def _reasoning_opened(self) -> list[bytes]:
        if self._open == "reasoning":
            return []
        closing = self._closed()
        self._begin("reasoning", "rs", b"response.reasoning_text.delta")
        item = reasoning_item(self._item_id, "in_progress", None)
        part = {"type": "reasoning_text", "text": ""}
        return [*closing, *self._item_added(item), *self._part("added", part)]

    def _begin(self, kind: str, prefix: str, event: bytes, after_delta: bytes = b"") -> bytes:
        """Open an item. Returns the fields that all events of its content have."""
        self._open = kind
        self._item_id = self._new_id(prefix)
        self._text = []
        place = json_bytes(self._place())[1:-1]
        self._before_delta = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (event, event, place)
        self._after_delta = after_delta
        return place

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._stream_id}_{len(self._output)}"

    def _closed(self, status: str = "completed") -> list[bytes]:
        """Return the events that close the open item, if any."""
        kind, self._open = self._open, None
        text = "".join(self._text)
        if kind == "message":
            return self._message_done(text, status)
        return self._reasoning_done(text) if kind == "reasoning" else []

    def _message_done(self, text: str, status: str) -> list[bytes]:
        """Return the events that repeat the text. It is encoded once."""
        said = msgspec.Raw(json_bytes(text))
        part = text_part(said)
        return [
            *self._event("response.output_text.done", {**self._place(), "text": said, "logprobs": []}),
            *self._part("done", part),
            *self._item_done(
                message_item(self._item_id, status, [text_part(text)]),
                json_bytes(message_item(self._item_id, status, [part])),
            ),
        ]

    def _reasoning_done(self, text: str) -> list[bytes]:
        """Return the end of the reasoning text, and its copy as summary: clients show one of the two."""
        part = {"type": "reasoning_text", "text": text}
        place = {"item_id": self._item_id, "output_index": len(self._output), "summary_index": 0}
        empty, summary = ({"type": "summary_text", "text": said} for said in ("", text))
        return [
            *self._event("response.reasoning_text.done", {**self._place(), "text": text}),
            *self._part("done", part),
            *self._event("response.reasoning_summary_part.added", {**place, "part": empty}),
            *self._event("response.reasoning_summary_text.delta", {**place, "delta": text}),
            *self._event("response.reasoning_summary_text.done", {**place, "text": text}),
            *self._event("response.reasoning_summary_part.done", {**place, "part": summary}),
            *self._item_done(reasoning_item(self._item_id, "completed", text)),
        ]

    def _call(self, call: ToolCall) -> list[bytes]:
        tool = self._tools.get(call.name, ToolName(call.name))
        if tool.custom:
            return self._custom_call(call.id, tool, custom_input(call.arguments))
        item_id = self._new_id("fc")
        place = {"item_id": item_id, "output_index": len(self._output)}
        done = {**place, "name": tool.name, "arguments": call.arguments}
        return [
            *self._item_added(call_item(item_id, "in_progress", call.id, tool, "")),
            *self._event("response.function_call_arguments.delta", {**place, "delta": call.arguments}),
            *self._event("response.function_call_arguments.done", done),
            *self._item_done(call_item(item_id, "completed", call.id, tool, call.arguments)),
        ]

    def _custom_call(self, call_id: str, tool: ToolName, input: str) -> list[bytes]:
        item_id = self._new_id("ctc")
        place = {"item_id": item_id, "output_index": len(self._output)}
        return [
            *self._item_added(call_item(item_id, "in_progress", call_id, tool, "")),
            *self._event("response.custom_tool_call_input.delta", {**place, "delta": input}),
            *self._event("response.custom_tool_call_input.done", {**place, "input": input}),
            *self._item_done(call_item(item_id, "completed", call_id, tool, input)),
        ]

    def _end(self, reason: Reason, ending: Ending) -> list[bytes]:
        """Return the last event. It is `completed` if cancelled, because clients raise for other statuses."""
        incomplete = _INCOMPLETE.get(reason)
        status = "completed" if incomplete is None else "incomplete"
        head = {**self._head, "model": ending.model or self._head["model"]}
        self._number_end()
        return self._over(
            response_json(head, status, self._output, usage=ending.usage, incomplete=incomplete)
        )

    def _error(self, code: str, message: str) -> list[bytes]:
        """Return the event that OpenAI's clients raise; they only pass `response.failed` on."""
        self._number_end()
        told = {"code": code, "message": message, "param": None}
        return self._event("error", {**told, "error": {"type": "server_error", **told}})

    def _number_end(self) -> None:
        if not self._numbered or (self._end_lost and self._number <= self._after):
            self._number = self._after + 1

    def _over(self, response: dict[str, Any]) -> list[bytes]:
        self.response = response
        told = {**response, "output": self._output_json}
        return self._event(f"response.{response['status']}", {"response": told})

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": len(self._output), "content_index": 0}

    def _part(self, done: str, part: Mapping[str, Any]) -> list[bytes]:
        return self._event(f"response.content_part.{done}", {**self._place(), "part": part})

    def _item_added(self, item: Item) -> list[bytes]:
        return self._event("response.output_item.added", {"output_index": len(self._output), "item": item})

    def _item_done(self, item: Item, encoded: bytes | None = None) -> list[bytes]:
        """encoded: the item as JSON, if the caller has it."""
        raw = msgspec.Raw(json_bytes(item) if encoded is None else encoded)
        told = self._event("response.output_item.done", {"output_index": len(self._output), "item": raw})
        self._output.append(item)
        self._output_json.append(raw)
        return told

    def _event(self, kind: str, fields: Mapping[str, Any]) -> list[bytes]:
        return self._encoded(kind.encode(), json_bytes(fields)[1:-1])

    def _encoded(self, kind: bytes, fields: bytes) -> list[bytes]:
        """Return one event. fields: its JSON without braces."""
        number, self._number = self._number, self._number + 1
        if number <= self._after or not (self._numbered or kind in _ENDS):
            return []
        return [b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n' % (kind, kind, fields, number)]


def _item_status(reason: Reason) -> str:
    return "incomplete" if reason in _INCOMPLETE else "completed"
