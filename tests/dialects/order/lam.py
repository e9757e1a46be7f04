"""The order of the unified dialect."""

import json

from tests.dialects.order.frames import Heard, frames_of, unnamed


def hear(body: bytes) -> Heard:
    heard = Heard()
    first, *told = [json.loads(data) for data in unnamed(frames_of(body))]
    assert first["type"] == "metadata"
    for event in told:
        assert not heard.ends
        match event:
            case {"type": "chunk", "content": str(content)}:
                heard.text += content
            case {"type": "reasoning", "content": str(content)}:
                heard.reasoning += content
            case {"type": "tool_call", "id": str(), "name": str(name), "args": str(arguments)}:
                heard.tools += ((name, arguments),)
            case {"type": "progress", "phase": "queued" | "prompt"}:
                heard.progress += 1
            case {"type": "done", "reason": reason, "full_content": text}:
                assert text == heard.text
                heard.ends += ("cancelled" if reason == "user_stop" else "complete",)
            case {"type": "error", "message": str(message), "code": str()}:
                heard.error = message
                heard.ends += ("error",)
            case _:
                raise AssertionError(event)
    return heard
