"""The order of Ollama's lines, of `/api/chat` and of `/api/generate`."""

import json
from typing import Any

from tests.dialects.order.frames import Heard

ENDS = {"done_reason", "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration"}
ENDS |= {"eval_count", "eval_duration"}


def hear(body: bytes) -> Heard:
    heard = Heard()
    assert body.isascii(), "not ASCII: the Python client splits lines at U+2028"
    *lines, rest = body.split(b"\n")
    assert rest == b"", "a line that was cut"
    for line in lines:
        assert line.startswith(b"{"), f"no JSON object: {line!r}"
        assert not heard.ends, "a line behind the end"
        _hear_line(heard, json.loads(line))
    assert heard.ends, "the stream just ends"
    return heard


def _hear_line(heard: Heard, told: dict[str, Any]) -> None:
    if "error" in told:
        assert set(told) == {"error"}
        heard.error = told["error"]
        heard.ends = ("error",)
        return
    assert told["model"]
    assert told["created_at"].endswith("Z")
    message = told.get("message", {"role": "assistant", "content": told.get("response")})
    message |= {"thinking": told["thinking"]} if "thinking" in told else {}
    assert message["role"] == "assistant"
    assert isinstance(message["content"], str)
    heard.text += message["content"]
    heard.reasoning += message.get("thinking", "")
    for call in message.get("tool_calls", ()):
        arguments = call["function"]["arguments"]
        assert isinstance(arguments, dict), "arguments that are no object"
        heard.tools += ((call["function"]["name"], arguments),)
    if told["done"]:
        assert told["done_reason"] in {"stop", "length"}
        assert all(isinstance(told[name], int) for name in ENDS & set(told) - {"done_reason"})
        heard.ends = ("complete",)
    else:
        assert not ENDS & set(told)
