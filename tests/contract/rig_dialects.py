"""A strict reader for every dialect: the rigs of the dialects' contract suite."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.contract.dialect import Dialect
from gateway.dialects.registry import LAM, LUNAR, OPENAI, PRINTER, TEXT, WORDS

End = Literal["complete", "cancelled", "error"]


@dataclass(frozen=True)
class Frame:
    """One SSE event by its fields. A missing field is None."""

    name: str | None
    data: str | None
    id: str | None


@dataclass
class Heard:
    """Content of a whole stream, as its reader parsed it. A dialect without an end frame has no `ends`."""

    text: str = ""
    reasoning: str = ""
    tools: tuple[tuple[str, Any], ...] = ()
    error: str | None = None
    ends: tuple[End, ...] = ()
    progress: int = 0


@dataclass(frozen=True)
class DialectRig:
    """One dialect and its reader.

    hear: parse a whole stream; raises on a frame that the dialect does not define.
    tells: the events that the dialect sends in addition to text and errors.
    complete, cancelled: the end frame of such a reply; None if the stream ends without one.
    """

    dialect: Dialect
    hear: Callable[[Sequence[Frame]], Heard]
    tells: frozenset[Literal["reasoning", "tools", "progress"]]
    complete: End | None
    cancelled: End | None

    @property
    def name(self) -> str:
        return self.dialect.name


def frames_of(stream: bytes) -> list[Frame]:
    """Return all events of a stream; raises if it ends within one."""
    *events, rest = stream.split(b"\n\n")
    assert rest in (b"", b": ping\n"), rest
    return [_frame(event) for event in events]


def _frame(event: bytes) -> Frame:
    fields: dict[str, str] = {}
    for line in event.decode().split("\n"):
        if line == ": ping":
            continue
        name, colon, value = line.partition(": ")
        assert colon, f"no field: {line!r}"
        assert name in {"event", "data", "id"}, f"an unknown field: {line!r}"
        assert name not in fields, f"a field twice: {event!r}"
        assert value, f"an empty field: {line!r}"
        fields[name] = value
    return Frame(fields.get("event"), fields.get("data"), fields.get("id"))


def _unnamed(frames: Sequence[Frame]) -> list[str]:
    """Return the data of all frames. None may have an event name; frames with only an id are skipped."""
    assert all(frame.name is None for frame in frames)
    return [frame.data for frame in frames if frame.data is not None]


def _hear_lam(frames: Sequence[Frame]) -> Heard:
    heard = Heard()
    first, *told = [json.loads(data) for data in _unnamed(frames)]
    assert first["type"] == "metadata"
    for event in told:
        assert not heard.ends
        match event:
            case {"type": "chunk", "content": str(content)}:
                heard.text += content
            case {"type": "reasoning", "content": str(content)}:
                heard.reasoning += content
            case {"type": "tool_call", "id": str(), "name": str(name), "args": str(arguments)}:
                heard.tools += ((name, arguments),)
            case {"type": "progress", "phase": "queued" | "prompt"}:
                heard.progress += 1
            case {"type": "done", "reason": reason, "full_content": text}:
                assert text == heard.text
                heard.ends += ("cancelled" if reason == "user_stop" else "complete",)
            case {"type": "error", "message": str(message), "code": str()}:
                heard.error = message
                heard.ends += ("error",)
            case _:
                raise AssertionError(event)
    return heard


def _hear_lunar(frames: Sequence[Frame]) -> Heard:
    heard = Heard()
    *told, last = _unnamed(frames)
    assert last == "[DONE]"
    for event in map(json.loads, told):
        assert heard.error is None
        match event:
            case {"type": "token", "content": str(content), **rest} if not rest:
                heard.text += content
            case {"type": "tool_call", "name": str(name), "args": arguments, **rest} if not rest:
                heard.tools += ((name, arguments),)
            case {"type": "error", "message": str(message), **rest} if not rest:
                heard.error = message
            case _:
                raise AssertionError(event)
    heard.ends = ("complete",) if heard.error is None else ("error",)
    return heard


def _hear_printer(frames: Sequence[Frame]) -> Heard:
    heard = Heard()
    start, *told = [(frame.name, json.loads(frame.data or "")) for frame in frames]
    assert start == ("stream_start", {"status": "streaming"})
    if told and told[0][0] == "conversation_id":
        assert list(told.pop(0)[1]) == ["conversation_id"]
    for name, event in told:
        assert not heard.ends
        match name, event:
            case "message", {"token": str(token), **rest} if not rest:
                heard.text += token
            case "stream_end", {"message_id": str(), "status": "complete" | "cancelled" as status}:
                heard.ends += (status,)
            case "error", {"error": str(message), **rest} if not rest:
                heard.error = message
                heard.ends += ("error",)
            case _:
                raise AssertionError((name, event))
    return heard


def _hear_openai(frames: Sequence[Frame]) -> Heard:
    heard = Heard()
    told = _unnamed(frames)
    if told and told[-1] == "[DONE]":
        told.pop()
        heard.ends += ("complete",)
    finish_reasons = []
    completions = set()
    for chunk in map(json.loads, told):
        assert heard.error is None
        if "error" in chunk:
            assert not heard.ends
            heard.error = chunk["error"]["message"]
            heard.ends += ("error",)
            continue
        assert chunk["object"] == "chat.completion.chunk"
        completions.add(chunk["id"])
        (choice,) = chunk["choices"]
        assert choice["index"] == 0
        if choice["finish_reason"] is not None:
            finish_reasons.append(choice["finish_reason"])
        delta = choice["delta"]
        heard.text += delta.get("content", "")
        heard.reasoning += delta.get("reasoning_content", "")
        for call in delta.get("tool_calls", ()):
            assert call["index"] == len(heard.tools)
            heard.tools += ((call["function"]["name"], call["function"]["arguments"]),)
    assert len(completions) == 1
    assert len(finish_reasons) == (heard.error is None)
    return heard


def _hear_words(frames: Sequence[Frame]) -> Heard:
    return _hear_strings(json.loads(data) for data in _unnamed(frames))


def _hear_text(frames: Sequence[Frame]) -> Heard:
    told = [json.loads(data) for data in _unnamed(frames)]
    assert all(list(event) == ["text"] for event in told)
    return _hear_strings(event["text"] for event in told)


def _hear_strings(strings: Any) -> Heard:
    heard = Heard()
    for said in strings:
        assert isinstance(said, str)
        assert heard.error is None
        if said.startswith("Error: "):
            heard.error = said.removeprefix("Error: ")
            heard.ends = ("error",)
        else:
            heard.text += said
    return heard


DIALECT_RIGS = [
    DialectRig(
        LAM,
        _hear_lam,
        frozenset({"reasoning", "tools", "progress"}),
        complete="complete",
        cancelled="cancelled",
    ),
    DialectRig(LUNAR, _hear_lunar, frozenset({"tools"}), complete="complete", cancelled="complete"),
    DialectRig(PRINTER, _hear_printer, frozenset(), complete="complete", cancelled="cancelled"),
    DialectRig(WORDS, _hear_words, frozenset(), complete=None, cancelled=None),
    DialectRig(TEXT, _hear_text, frozenset(), complete=None, cancelled=None),
    DialectRig(
        OPENAI, _hear_openai, frozenset({"reasoning", "tools"}), complete="complete", cancelled="complete"
    ),
]
