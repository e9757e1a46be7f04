"""The words frontend's dialect: every `data:` is a JSON string to append, so nothing else is sent."""

from collections.abc import Sequence

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, Failed, ReaderEvent
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import SseDialect, data_frame


class Words(SseDialect):
    name = "words"
    paced_by: PacedBy = "word"

    def encoder(self, stream_id: str) -> "Words":
        return self

    def refusal(self, error: GatewayError) -> bytes:
        return data_frame(json_bytes(f"Error: {error} ({error.code})"))

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (data_frame(json_bytes(event.text)),)
        if isinstance(event, Failed):
            return (data_frame(json_bytes(f"Error: {event.message}")),)
        return ()
