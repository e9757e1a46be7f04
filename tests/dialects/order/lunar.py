"""The order of the lunar dialect."""

import json

from tests.dialects.order.frames import Heard, frames_of, unnamed


def hear(body: bytes) -> Heard:
    heard = Heard()
    *told, last = unnamed(frames_of(body))
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
