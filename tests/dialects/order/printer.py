"""The order of the printer dialect."""

import json

from tests.dialects.order.frames import Heard, frames_of


def hear(body: bytes) -> Heard:
    heard = Heard()
    start, *told = [(frame.name, json.loads(frame.data or "")) for frame in frames_of(body)]
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
