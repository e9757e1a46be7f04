"""Replies as every dialect tells them, byte for byte, kept beside this file: python -m tests.dialects.replies
writes them anew, and the difference is what frontends will see.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gateway.contract.dialect import Dialect
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
from gateway.contract.journal import Position
from gateway.dialects.completions import Completions
from gateway.dialects.ollama import Ollama
from gateway.dialects.openai import OpenAI
from gateway.dialects.registry import DIALECTS
from gateway.dialects.responses import Responses
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.http.sse_writer import Pulse
from tests.web.scene import Pipe

FOLDER = Path(__file__).parent / "transcripts"

SESSION = "0b6f4d6e-3f0e-4f4e-9a59-6f1f4c1f7a10"
REPLY = "5e0f8a4c-1d2b-4c3d-8e9f-0a1b2c3d4e5f"
STREAM = "00112233445566778899aabbccddeeff"


def started(*, opens_session: bool) -> Started:
    return Started(
        stream_id=STREAM,
        session_id=7,
        session_key="local-1f3a9c",
        user_message_id=41,
        assistant_message_id=42,
        mode="sse",
        delivery="token",
        session_uuid=SESSION,
        opens_session=opens_session,
    )


def ending(text: str) -> Ending:
    return Ending(
        assistant_message_id=42,
        full_content=text,
        mode="sse",
        delivery="token",
        model="tiny",
        usage=Usage(12, 5, 17, 98.7),
        ttft_ms=12.5,
        tokens_per_s=98.7,
        assistant_message_uuid=REPLY,
    )


NEW = started(opens_session=True)
OLD = started(opens_session=False)
SAID = ["What ", "is 🙂,\r\n", 'a "quote" ', "and a \\ and \u2028?"]
AWAY = "The model server refused the connection."
NOW = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
ON_A_STOPPED_CLOCK: Mapping[str, Dialect] = {
    "openai": OpenAI("tiny", include_usage=True, clock=NOW.timestamp),
    "completions": Completions("tiny", include_usage=True, clock=NOW.timestamp),
    "ollama": Ollama("tiny", now=lambda: NOW),
    "responses": Responses(model="tiny", clock=NOW.timestamp),
}

REPLIES: dict[str, Sequence[ReaderEvent]] = {
    "whole": [NEW, *map(Delta, SAID), Finished("stop", ending("".join(SAID)))],
    "continued": [OLD, Delta("Again."), Finished("length", ending("Again."))],
    "tools_and_reasoning": [
        NEW,
        Progress("queued", position=2),
        Progress("prompt", processed=5, total=12),
        Reasoning("They want the weather."),
        Delta("One moment. "),
        ToolCall("call_1", "weather", '{"city": "Graz",\n "days": 2}'),
        ToolCall("call_2", "weather", '{"city": "Gr'),
        Finished("tool_calls", ending("One moment. ")),
    ],
    "stopped": [NEW, Delta("Hel"), Cancelled("user_stop", ending("Hel"))],
    "failed_at_once": [NEW, Failed("upstream_error", "unreachable", AWAY, True, ending(""))],
    "failed_in_the_middle": [
        OLD,
        Delta("Hel"),
        Failed("upstream_error", "unreachable", AWAY, True, ending("Hel")),
    ],
}


async def transcript(dialect: Dialect, events: Sequence[ReaderEvent], *, resumable: bool = False) -> bytes:
    """The body of a stream that tells these events."""
    placed = []
    chars = 0
    for seq, event in enumerate(events, 1):
        chars += len(event.text) if isinstance(event, Delta) else 0
        placed.append((event, Position(seq, chars)))
    pipe = Pipe()
    stream = ReplyStream(pipe, dialect, dialect.encoder(STREAM), Pulse(15), with_ids=resumable)
    await stream.serve_replay(pipe.send, [], placed)
    return pipe.received


async def all_transcripts() -> dict[str, bytes]:
    """By the name of the file, below FOLDER, that holds it."""
    told = {}
    for name, dialect in {**DIALECTS, **ON_A_STOPPED_CLOCK}.items():
        for reply, events in REPLIES.items():
            told[f"{name}/{reply}.sse"] = await transcript(dialect, events)
        if dialect.bears_ids:
            told[f"{name}/resumable.sse"] = await transcript(dialect, REPLIES["whole"], resumable=True)
    return told


async def write() -> None:
    for file, told in (await all_transcripts()).items():
        path = FOLDER / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(told)


if __name__ == "__main__":
    asyncio.run(write())
