"""The unified dialect, frame by frame."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    Progress,
    ReaderEvent,
    Reasoning,
    Started,
    ToolCall,
    Usage,
)
from gateway.dialects.lam import Lam

ENDING = Ending(
    assistant_message_id=124,
    full_content="Hello",
    mode="sse",
    delivery="token",
    model="tiny",
    usage=Usage(3, 2, 5),
    ttft_ms=12.5,
    tokens_per_s=99.9,
)
UNKNOWN = Ending(124, "Hel", "mqtt", "chunked", None, None, None, None)
ENDING_JSON = {
    "assistant_message_id": 124,
    "full_content": "Hello",
    "mode": "sse",
    "delivery": "token",
    "model": "tiny",
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "ttft_ms": 12.5,
    "tokens_per_s": 99.9,
}
UNKNOWN_JSON = {"assistant_message_id": 124, "full_content": "Hel", "mode": "mqtt", "delivery": "chunked"}

GOLDEN: list[tuple[ReaderEvent, dict[str, object]]] = [
    (
        Started("ab", 1, "local-1f3a9c", 123, 124, "sse", "token"),
        {
            "type": "metadata",
            "session_id": 1,
            "user_message_id": 123,
            "assistant_message_id": 124,
            "session_key": "local-1f3a9c",
            "stream_id": "ab",
            "mode": "sse",
            "delivery": "token",
        },
    ),
    (Delta("Hello"), {"type": "chunk", "content": "Hello"}),
    (Reasoning("hm"), {"type": "reasoning", "content": "hm"}),
    (ToolCall("c1", "f", "{}"), {"type": "tool_call", "id": "c1", "name": "f", "args": "{}"}),
    (Progress("queued", position=2), {"type": "progress", "phase": "queued", "position": 2}),
    (
        Progress("prompt", processed=5, total=9),
        {"type": "progress", "phase": "prompt", "processed": 5, "total": 9},
    ),
    (Finished("stop", ENDING), {"type": "done", "reason": "stop", **ENDING_JSON}),
    (Cancelled("user_stop", UNKNOWN), {"type": "done", "reason": "user_stop", **UNKNOWN_JSON}),
    (
        Failed("upstream_error", "unreachable", "It is away.", True, UNKNOWN),
        {
            "type": "error",
            "message": "It is away.",
            "code": "unreachable",
            "reason": "upstream_error",
            "retryable": True,
            **UNKNOWN_JSON,
        },
    ),
]


@pytest.mark.parametrize(("event", "told"), GOLDEN, ids=lambda value: type(value).__name__)
def test_each_event_is_one_data_frame(event: ReaderEvent, told: dict[str, object]) -> None:
    (frame,) = Lam().encoder("ab").frames(event)
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    assert json.loads(frame[6:]) == told


@given(st.text(min_size=1))
def test_any_text_is_one_line_and_survives(text: str) -> None:
    (frame,) = Lam().encoder("ab").frames(Delta(text))
    line, blank, rest = frame.removeprefix(b"data: ").partition(b"\n\n")
    assert (blank, rest) == (b"\n\n", b"")
    assert not set(line) & {0, 10, 13}
    assert json.loads(line)["content"] == text


def test_emoji_stay_as_they_are() -> None:
    (frame,) = Lam().encoder("ab").frames(Delta("a 🙂 — b"))
    assert "a 🙂 — b".encode() in frame


def test_half_of_a_surrogate_pair_becomes_a_replacement() -> None:
    (frame,) = Lam().encoder("ab").frames(Delta("a\ud800b"))
    assert json.loads(frame[6:])["content"] == "a\ufffdb"
