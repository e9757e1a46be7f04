"""Tool calls and cut characters as other model servers send them."""

# ruff: noqa: E501  - a case is a line

from typing import Any

from tests.transports.llama.foreign_streams import (
    DONE,
    END,
    STOP,
    A,
    Case,
    call,
    calls,
    delta,
    failing,
    frame,
    saying,
)

CALLED = delta("tool_calls") + DONE
X = '{"x":1}'
Y = '{"y":2}'
F_AND_G = [("f", {"x": 1}), ("g", {"y": 2})]


def calling(name: str, stream: bytes, *told: Any, **expected: Any) -> Case:
    return Case(name, stream, tool_calls=list(told), ends="tool_calls", **expected)


HALVES = [
    saying("three pieces", delta(content="a\ud83d") + delta(content="\ude00b\ud83d") + delta(content="\ude00") + END, "a😀b😀"),
    saying("a half that stays alone", delta(content="a\ud83d") + END, "a\ufffd"),
    saying("a half before other text", delta(content="\ud83d") + delta(content="x") + END, "\ufffdx"),
    saying("a second half alone", delta(content="\ude00x") + END, "\ufffdx"),
    saying("a half in the middle", delta(content="a\ud83db") + END, "a\ufffdb"),
    saying("a half, left open", delta(content="a\ud83d") + STOP, "a\ufffd"),
    saying("two first halves", delta(content="\ud83d") + delta(content="\ud83d\ude00") + END, "\ufffd😀"),
    saying("reasoning", delta(reasoning_content="\ud83d") + delta(reasoning_content="\ude00") + A + END, reasoning="😀"),
    saying("reasoning and text apart", delta(reasoning_content="\ud83d", content="\ud83d") + delta(content="\ude00") + END, "😀", reasoning="\ufffd"),
    calling("tool fragments", calls(call(0, "a", "f", '{"x":"\ud83d')) + calls(call(0, arguments='\ude00"}')) + CALLED, ("f", {"x": "😀"})),
    calling("half a name", calls(call(0, "a", "f\ud83d", "{}")) + CALLED, ("f\ufffd", {})),
    saying("bytes of a character in each of two deltas", b'data: {"choices":[{"delta":{"content":"a\xf0\x9f"}}]}\n\ndata: {"choices":[{"delta":{"content":"\x98\x80b"}}]}\n\n' + END, "a😀b"),
    saying("bytes of three deltas", b"".join(b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % byte for byte in (b"\xe2", b"\x82", b"\xac")) + END, "€"),
    saying("a wrong byte", b'data: {"choices":[{"delta":{"content":"caf\xe9 ok"}}]}\n\n' + END, "caf\ufffd ok"),
    saying("bytes that stay unfinished", b'data: {"choices":[{"delta":{"content":"a\xf0\x9f"}}]}\n\n' + END, "a\ufffd"),
    saying("a pair whose second half looks like a byte", delta(content="\ud83d") + delta(content="\udcab") + END, "💫"),
    calling("bytes in tool fragments", b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\\"x\\":\\"\xc3"}}]}}]}\n\n' + b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\xa9\\"}"}}]}}]}\n\n' + CALLED, ("f", {"x": "é"})),
    failing("an error behind a half", delta(content="a\ud83d") + frame({"error": "boom"}) + DONE, "boom", "a"),
]  # fmt: skip


TOOLS = [
    calling("all numbered 0, in one chunk", calls(call(0, "a", "f", X), call(0, "b", "g", Y)) + CALLED, *F_AND_G),
    calling("all numbered 0, in fragments", calls(call(0, "a", "f", "")) + calls(call(0, arguments=X)) + calls(call(0, "b", "g", "")) + calls(call(0, arguments=Y)) + CALLED, *F_AND_G),
    calling("all numbered 0, one function", calls(call(0, "a", "f", X)) + calls(call(0, "b", "f", Y)) + CALLED, ("f", {"x": 1}), ("f", {"y": 2})),
    calling("all numbered 0, no ids", calls(call(0, None, "f", X)) + calls(call(0, None, "f", Y)) + CALLED, ("f", {"x": 1}), ("f", {"y": 2})),
    calling("all numbered 0, no arguments", calls(call(0, "a", "f")) + calls(call(0, "b", "f")) + CALLED, ("f", {}), ("f", {})),
    calling("interleaved, numbered backwards", calls(call(1, "a", "f", "")) + calls(call(0, "b", "g", "")) + calls(call(1, arguments=X)) + calls(call(0, arguments=Y)) + CALLED, *F_AND_G),
    calling("interleaved in one chunk", calls(call(0, "a", "f", "{"), call(1, "b", "g", "{")) + calls(call(0, arguments=X[1:]), call(1, arguments=Y[1:])) + CALLED, *F_AND_G),
    calling("interleaved without numbers", calls(call(None, "a", "f", "{"), call(None, "b", "g", "{")) + calls(call(None, "a", arguments=X[1:])) + calls(call(None, "b", arguments=Y[1:])) + CALLED, *F_AND_G),
    calling("unnumbered fragments in place", calls(call(None, None, "f"), call(None, None, "g")) + calls(call(arguments=X), call(arguments=Y)) + CALLED, *F_AND_G),
    calling("no number, id and name repeated", calls(call(None, "a", "f", '{"x"')) + calls(call(None, "a", "f", ":1}")) + CALLED, ("f", {"x": 1})),
    calling("number, id and name repeated", calls(call(0, "a", "f", '{"x"')) + calls(call(0, "a", "f", ":1}")) + CALLED, ("f", {"x": 1})),
    calling("no number, only the name repeated", calls(call(None, None, "f", '{"x"')) + calls(call(None, None, "f", ":1}")) + CALLED, ("f", {"x": 1})),
    calling("no number, name first", calls(call(None, "a", "f")) + calls(call(arguments=X)) + CALLED, ("f", {"x": 1})),
    calling("no number, two calls", calls(call(None, "a", "f", X)) + calls(call(None, "b", "g", Y)) + CALLED, *F_AND_G),
    calling("no number, no ids, one function", calls(call(None, None, "f", X)) + calls(call(None, None, "f", Y)) + CALLED, ("f", {"x": 1}), ("f", {"y": 2})),
    calling("all numbered 0, interleaved by id", calls(call(0, "a", "f", "")) + calls(call(0, "b", "g", "")) + calls(call(0, "a", None, X)) + calls(call(0, "b", None, Y)) + CALLED, *F_AND_G),
    calling("a name in fragments", calls(call(0, "a", "get_", "")) + calls(call(0, None, "weather", "")) + calls(call(0, arguments=X)) + CALLED, ("get_weather", {"x": 1})),
    calling("an empty object as text, then the arguments", calls(call(0, "a", "f", "{}")) + calls(call(0, arguments=X)) + CALLED, ("f", {"x": 1})),
    calling("an empty object as text, alone", calls(call(0, "a", "f", "")) + calls(call(0, arguments="{}")) + CALLED, ("f", {})),
    calling("said twice", calls(call(0, "a", "f", X)) + calls(call(0, "a", "f", X)) + CALLED, ("f", {"x": 1})),
    calling("vLLM's new id for each fragment", calls(call(0, "a", "f", "")) + calls(call(0, "b", None, '{"x"')) + calls(call(0, "c", None, ":1}")) + CALLED, ("f", {"x": 1})),
    calling("vLLM's new id for the empty end", calls(call(0, "a", "f", X)) + calls(call(0, "b", None, "")) + CALLED, ("f", {"x": 1})),
    calling("vLLM's new id for a last blank", calls(call(0, "a", "f", X)) + calls(call(0, "b", None, "\n")) + CALLED, ("f", {"x": 1})),
    calling("Cloudflare's without function", calls({"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {"y": 2}}) + CALLED, *F_AND_G),
    calling("without function, in fragments", calls({"index": 0, "id": "a", "name": "f", "arguments": '{"x"'}) + calls({"index": 0, "arguments": ":1}"}) + CALLED, ("f", {"x": 1})),
    calling("an id first, the name later", calls(call(0, "a")) + calls(call(0, None, "f", X)) + CALLED, ("f", {"x": 1})),
    calling("number as text", calls(call("0", "a", "f", '{"x"')) + calls(call("0", arguments=":1}")) + CALLED, ("f", {"x": 1})),
    calling("number as a float", calls(call(0.0, "a", "f", '{"x"')) + calls(call(0.0, arguments=":1}")) + CALLED, ("f", {"x": 1})),
    calling("id a number", calls(call(0, 17, "f", X)) + CALLED, ("f", {"x": 1})),
    calling("nulls among the calls", calls(None, call(0, "a", "f", X), None) + CALLED, ("f", {"x": 1})),
    calling("calls null", delta(tool_calls=None) + calls(call(0, "a", "f", X)) + CALLED, ("f", {"x": 1})),
    calling("one call, no list", delta(tool_calls=call(0, "a", "f", X)) + CALLED, ("f", {"x": 1})),
    calling("function null in a later fragment", calls(call(0, "a", "f", X)) + calls({"index": 0, "function": None}) + CALLED, ("f", {"x": 1})),
    calling("arguments null", calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": None}}) + CALLED, ("f", {})),
    calling("arguments objects, interleaved", calls(call(0, "a", "f", ""), call(1, "b", "g", "")) + calls(call(1, arguments={"y": 2})) + calls(call(0, arguments={"x": 1})) + CALLED, *F_AND_G),
    calling("the finish reason first", delta("tool_calls") + calls(call(0, "a", "f", X)) + DONE, ("f", {"x": 1})),
    calling("two finish reasons", calls(call(0, "a", "f", X), finish_reason="tool_calls") + STOP + DONE, ("f", {"x": 1})),
    calling("arguments blank", calls(call(0, "a", "f", "  ")) + CALLED, ("f", {})),
    calling("arguments null as text", calls(call(0, "a", "f", "null")) + CALLED, ("f", {})),
    calling("arguments an empty object, then text", calls(call(0, "a", "f", {})) + calls(call(0, arguments=X)) + CALLED, ("f", {"x": 1})),
    calling("arguments a nested object", calls(call(0, "a", "f", {"x": [1, {"é": None}]})) + CALLED, ("f", {"x": [1, {"é": None}]})),
    calling("ended by [DONE] alone", calls(call(0, "a", "f", X)) + DONE, ("f", {"x": 1})),
    calling("ended by eos", calls(call(0, "a", "f", X)) + delta("eos") + DONE, ("f", {"x": 1})),
    calling("with the finish reason", calls(call(0, "a", "f", X), finish_reason="stop") + DONE, ("f", {"x": 1})),
    calling("left open", calls(call(0, "a", "f", X)) + delta("tool_calls"), ("f", {"x": 1})),
    calling("the old function_call", delta(function_call={"name": "f", "arguments": '{"x"'}) + delta(function_call={"arguments": ":1}"}) + delta("function_call") + DONE, ("f", {"x": 1})),
    calling("in a whole message", frame({"choices": [{"message": {"content": None, "tool_calls": [call(None, "a", "f", X), call(None, "b", "g", Y)]}, "finish_reason": "tool_calls"}]}) + DONE, *F_AND_G),
    Case("a call that was cut short", calls(call(0, "a", "f", '{"x"')) + delta("length") + DONE, tool_calls=[("f", '{"x"')], ends="length"),
    Case("text, then a call", A + calls(call(0, "a", "f", X)) + END, "A", tool_calls=[("f", {"x": 1})], ends="tool_calls"),
    Case("the same id for two calls", calls(call(0, "a", "f", X), call(1, "a", "g", Y)) + CALLED, tool_calls=F_AND_G, ends="tool_calls"),
]  # fmt: skip
