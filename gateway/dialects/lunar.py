"""The lunar frontend's dialect: `data:` frames of token, tool_call and error; the last is always `[DONE]`."""

from collections.abc import Sequence

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent, ToolCall
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import SseDialect, data_frame
from gateway.dialects.tool_arguments import readable

_DONE = data_frame(b"[DONE]")


class Lunar(SseDialect):
    name = "lunar"
    paced_by: PacedBy = "characters"

    def encoder(self, stream_id: str) -> "Lunar":
        return self

    def refusal(self, error: GatewayError) -> bytes:
        told = {"type": "error", "message": str(error), "code": error.code}
        return data_frame(json_bytes(told)) + _DONE

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            return (b'data: {"type":"token","content":' + json_bytes(event.text) + b"}\n\n",)
        match event:
            case ToolCall(_, name, arguments):
                told = {"type": "tool_call", "name": name, "args": readable(arguments)}
                return (data_frame(json_bytes(told)),)
            case Failed():
                return data_frame(json_bytes({"type": "error", "message": event.message})), _DONE
            case Finished() | Cancelled():
                return (_DONE,)
            case _:
                return ()
