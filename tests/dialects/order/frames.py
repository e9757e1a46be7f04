"""Streams taken apart into frames, and the record of what they said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

End = Literal["complete", "cancelled", "error"]


@dataclass(frozen=True)
class Frame:
    """One event of a stream, field by field; data None: it had none."""

    name: str | None
    data: str | None
    id: str | None


@dataclass
class Heard:
    """The content of a stream. ends: every ending that it told; a dialect may have no word for one."""

    text: str = ""
    reasoning: str = ""
    tools: tuple[tuple[str, Any], ...] = ()
    error: str | None = None
    ends: tuple[End, ...] = ()
    progress: int = 0


def frames_of(stream: bytes) -> list[Frame]:
    """The events of a whole stream; nothing may be left over."""
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
    assert fields, "a comment with a blank line of its own: OpenAI's client takes it for an event"
    return Frame(fields.get("event"), fields.get("data"), fields.get("id"))


def unnamed(frames: Sequence[Frame]) -> list[str]:
    """The data of frames that have no event name; one that is nothing but an id says nothing."""
    assert all(frame.name is None for frame in frames)
    return [frame.data for frame in frames if frame.data is not None]
