"""The printer frontend's dialect: named events, from stream_start to stream_end or error."""

from collections.abc import Sequence

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent, Started
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import SseDialect


class Printer(SseDialect):
    name = "printer"
    paced_by: PacedBy = "characters"

    def encoder(self, stream_id: str) -> "Printer":
        return self

    def refusal(self, error: GatewayError) -> bytes:
        return _named(b"error", {"error": str(error), "code": error.code})

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (b'event: message\ndata: {"token":' + json_bytes(event.text) + b"}\n\n",)
        match event:
            case Started(session_uuid=uuid, opens_session=True):
                return _START, _named(b"conversation_id", {"conversation_id": uuid})
            case Started():
                return (_START,)
            case Finished(ending=ending):
                return (_end(ending.assistant_message_uuid, "complete"),)
            case Cancelled(ending=ending):
                return (_end(ending.assistant_message_uuid, "cancelled"),)
            case Failed():
                return (_named(b"error", {"error": event.message}),)
            case _:
                return ()


def _end(message_uuid: str, status: str) -> bytes:
    return _named(b"stream_end", {"message_id": message_uuid, "status": status})


def _named(name: bytes, value: dict[str, str]) -> bytes:
    return b"event: " + name + b"\ndata: " + json_bytes(value) + b"\n\n"


_START = _named(b"stream_start", {"status": "streaming"})
