"""The order of OpenAI's chat completion chunks."""

import json

from tests.dialects.order.frames import Heard, frames_of, unnamed


def hear(body: bytes) -> Heard:
    heard = Heard()
    told = unnamed(frames_of(body))
    if told and told[-1] == "[DONE]":
        told.pop()
        heard.ends += ("complete",)
    finish_reasons: list[str] = []
    completions = set()
    for chunk in map(json.loads, told):
        assert heard.error is None
        if "error" in chunk:
            assert not heard.ends
            heard.error = chunk["error"]["message"]
            heard.ends += ("error",)
            continue
        assert chunk["object"] == "chat.completion.chunk"
        completions.add(chunk["id"])
        if not chunk["choices"]:
            assert finish_reasons
            assert chunk["usage"]
            continue
        assert not finish_reasons
        (choice,) = chunk["choices"]
        assert choice["index"] == 0
        if choice["finish_reason"] is not None:
            finish_reasons.append(choice["finish_reason"])
        delta = choice["delta"]
        heard.text += delta.get("content", "")
        heard.reasoning += delta.get("reasoning_content", "")
        for call in delta.get("tool_calls", ()):
            assert call["index"] == len(heard.tools)
            heard.tools += ((call["function"]["name"], call["function"]["arguments"]),)
    assert len(completions) == 1
    assert len(finish_reasons) == (heard.error is None)
    return heard
