"""The words dialect with strings in objects, `{"text": "word "}`, for frontends that need objects."""

from collections.abc import Sequence

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, Failed, ReaderEvent
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import SseDialect


class Text(SseDialect):
    name = "text"
    paced_by: PacedBy = "word"

    def encoder(self, stream_id: str) -> "Text":
        return self

    def refusal(self, error: GatewayError) -> bytes:
        return _frame(f"Error: {error} ({error.code})")

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (_frame(event.text),)
        if isinstance(event, Failed):
            return (_frame(f"Error: {event.message}"),)
        return ()


def _frame(text: str) -> bytes:
    return b'data: {"text":' + json_bytes(text) + b"}\n\n"
