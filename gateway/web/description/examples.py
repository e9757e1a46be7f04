"""Examples of streams, encoded by the dialects."""

from datetime import UTC, datetime

from gateway.contract.authors import Author
from gateway.contract.dialect import Dialect
from gateway.contract.events import Delta, Ending, Finished, ReaderEvent, Started, Usage
from gateway.contract.room_events import MessagePosted
from gateway.core.session_news import News, ReplyEnded, ReplyStarted
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import data_frame
from gateway.web.api.session_events import as_json

STREAM_ID = "00112233445566778899aabbccddeeff"
UUID = "0b6f4d6e-3f0e-4f4e-9a59-6f1f4c1f7a10"

_REPLY: list[ReaderEvent] = [
    Started(STREAM_ID, 1, "local-1f3a9c", 1, 2, "sse", "token", session_uuid=UUID, opens_session=True),
    Delta("Hello"),
    Finished(
        "stop",
        Ending(2, "Hello", "sse", "token", "tiny", Usage(12, 1, 13), 12.5, 98.7, UUID.replace("0", "5")),
    ),
]
_NEWS: list[News] = [
    MessagePosted(1, UUID, Author("user", "local"), "user", "Hi", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ReplyStarted(STREAM_ID, 2, 1),
    ReplyEnded(STREAM_ID, 2, "complete", "stop"),
]


def stream_example(dialect: Dialect) -> str:
    """Return a short reply in this dialect."""
    encoder = dialect.encoder(STREAM_ID)
    return b"".join(frame for event in _REPLY for frame in encoder.frames(event)).decode()


def session_events_example() -> str:
    return b"".join(data_frame(json_bytes(as_json(news))) for news in _NEWS).decode()
