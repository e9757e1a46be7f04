"""Streams as other model servers send them, each with what a reader must hear of it."""

# ruff: noqa: E501  - a case is a line

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CASES = Path(__file__).with_name("upstream_cases.json")


@dataclass(frozen=True)
class Case:
    """ends: the reason of Done, or "error". message: part of the error's words. usage: False if it may be any. held: the server keeps the connection open at the end."""

    name: str
    stream: bytes
    text: str = ""
    reasoning: str = ""
    tool_calls: list[Any] = field(default_factory=list)
    ends: str = "stop"
    message: str = ""
    code: str | None = None
    usage: Any = False
    held: bool = True


def given_cases() -> list[Case]:
    return [
        Case(
            case["name"],
            case["stream"].encode(),
            case["text"],
            tool_calls=[tuple(call) for call in case["tool_calls"]],
            ends=case["ends"],
            message=case.get("message", ""),
            usage=case.get("usage", False),
        )
        for case in json.loads(CASES.read_text())
    ]


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(finish_reason: Any = None, **fields: Any) -> bytes:
    return frame({"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]})


def calls(*parts: Any, finish_reason: Any = None) -> bytes:
    return delta(finish_reason, tool_calls=list(parts))


def call(index: Any = None, id: Any = None, name: Any = None, arguments: Any = None) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "function"}
    function = {"name": name, "arguments": arguments}
    part["function"] = {key: value for key, value in function.items() if value is not None}
    return part | {key: value for key, value in {"index": index, "id": id}.items() if value is not None}


A = delta(content="A")
B = delta(content="B")
STOP = delta("stop")
DONE = b"data: [DONE]\n\n"
END = STOP + DONE
FULL = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


def failing(name: str, stream: bytes, message: str, text: str = "", code: str | None = None) -> Case:
    return Case(name, stream, text, ends="error", message=message, code=code or "upstream_error")


def saying(name: str, stream: bytes, text: str = "A", **expected: Any) -> Case:
    return Case(name, stream, text, **expected)


def _measuring(name: str, usage: Any, expected: Any = None) -> Case:
    return Case(
        f"usage: {name}", A + STOP + frame({"choices": [], "usage": usage}) + DONE, "A", usage=expected
    )


ERRORS = [
    failing("vLLM's error object", A + frame({"error": {"message": "boom", "code": 400}}) + DONE, "boom", "A"),
    failing("TGI's error as text", frame({"error": "boom", "error_type": "validation"}) + DONE, "boom"),
    failing("FastAPI's detail", frame({"detail": "boom"}) + DONE, "boom"),
    failing("FastAPI's list of details", frame({"detail": [{"loc": ["a"], "msg": "boom"}]}) + DONE, "boom"),
    failing("a message alone", frame({"message": "boom"}) + DONE, "boom"),
    failing("a message and empty choices", frame({"choices": [], "message": "boom"}) + DONE, "boom"),
    failing("type error", frame({"type": "error", "msg": "boom"}) + DONE, "boom"),
    failing("object error without words", frame({"object": "error", "code": 503}) + DONE, "code 503"),
    failing("a code alone", frame({"error": {"code": 503}}) + DONE, "code 503"),
    failing("error true", frame({"error": True, "message": "boom"}) + DONE, "boom"),
    failing("an empty error", frame({"error": {}}) + DONE, "without saying why"),
    failing("Gemini's list", frame([{"error": {"code": 400, "message": "boom"}}]) + DONE, "boom"),
    failing("a list inside", frame({"error": [{"message": "boom"}]}) + DONE, "boom"),
    failing("errors in the plural", frame({"errors": [{"message": "boom"}]}) + DONE, "boom"),
    failing("a bare list", b'[{"error":{"message":"boom"}}]\n\n' + DONE, "boom"),
    failing("bare JSON over lines", b'{\n  "error": {\n    "message": "boom"\n  }\n}\n\n' + DONE, "boom"),
    failing("bare JSON right before [DONE]", b'{"error":{"message":"boom"}}\n' + DONE, "boom"),
    failing("bare JSON behind a line of data", A[:-1] + b'{"error":"boom"}\n\n' + DONE, "boom"),
    failing("bare JSON after a CRLF", b'\r\n{"error":{"message":"boom"}}\r\n\r\n' + DONE, "boom"),
    failing("an error field of text", b"error: boom\n\n" + DONE, "boom"),
    failing("an error field without a space", b'error:{"message":"boom"}\n\n' + DONE, "boom"),
    failing("an error field and a data line", b'error: {"message":"boom"}\n' + DONE, "boom"),
    failing("event error with text", b"event: error\ndata: boom\n\n" + DONE, "boom"),
    failing("event error with data first", b'data: {"message":"boom"}\nevent: error\n\n' + DONE, "boom"),
    failing("event error with null", b"event: error\ndata: null\n\n" + DONE, "without saying why"),
    failing("event error without data", A + b"event: error\n\n" + END, "without saying why", "A"),
    failing(
        "LM Studio's", b'event: error\ndata: {"error":{"message":"boom"},"message":"boom"}\n\n' + DONE, "boom"
    ),
    failing("an error with NaN beside it", b'data: {"error":{"message":"boom"},"p":NaN}\n\n' + DONE, "boom"),
    failing("an error behind the finish reason", A + STOP + frame({"error": "boom"}) + DONE, "boom", "A"),
    failing("finish reason error", A + delta("error") + DONE, "'error'", "A"),
    failing("finish reason abort", A + delta("abort") + DONE, "'abort'", "A"),
    failing("finish reason abort, left open", A + delta("abort"), "'abort'", "A"),
    failing("finish reason abort as an object", A + delta({"type": "abort", "message": "boom"}) + DONE, "boom", "A"),
    failing(
        "OpenRouter's",
        A + frame({"error": {"code": 502, "message": "boom"}, "choices": [{"index": 0, "finish_reason": "error"}]}),
        "boom",
        "A",
    ),
    failing(
        "an error inside the choice",
        A + frame({"choices": [{"index": 0, "finish_reason": "error", "error": {"message": "boom"}}]}) + DONE,
        "boom",
        "A",
    ),
    failing(
        "an error inside an unfinished choice",
        A + frame({"choices": [{"index": 0, "delta": {}, "error": {"message": "boom"}}]}) + END,
        "boom",
        "A",
    ),
    failing("data that is plain text", A + b"data: boom happened\n\n" + DONE, "boom happened", "A"),
    failing("data that is a string", frame("boom") + DONE, "boom"),
    failing("MiniMax", frame({"choices": None, "base_resp": {"status_code": 8, "status_msg": "boom"}}), "boom"),
    failing("an error in a delta", delta(error="boom") + DONE, "boom"),
    failing("a role and [DONE]", delta(role="assistant", content="") + DONE, "before it had begun"),
    failing("a comment and [DONE]", b": ping\n\n" + DONE, "before it had begun"),
    failing("Groq's", A + frame({"choices": [{"delta": {}, "finish_reason": "stop"}], "x_groq": {"error": "boom"}}) + DONE, "boom", "A"),
    failing("Groq's without choices", A + frame({"choices": [], "x_groq": {"error": {"message": "boom"}}}) + DONE, "boom", "A"),
    failing("FastChat's", frame({"text": "boom", "error_code": 50001}) + DONE, "boom"),
    failing("FastChat's after text", A + frame({"text": "boom", "error_code": 50001}) + DONE, "boom", "A"),
    failing("an error field in capitals", A + b'ERROR: {"message":"boom"}\n\n' + DONE, "boom", "A"),
    failing("plain text behind a mark", A + b"data: [ERROR] boom\n\n" + DONE, "boom", "A"),
    failing("event ping with an error", A + b'event: ping\ndata: {"error":"boom"}\n\n' + DONE, "boom", "A"),
    failing("finish reason network_error", A + delta("network_error") + DONE, "'network_error'", "A"),
    failing("TensorRT-LLM's timeout", A + delta("timeout") + DONE, "'timeout'", "A"),
    failing("TensorRT-LLM's cancel", A + delta("cancelled") + DONE, "'cancelled'", "A"),
    failing("half an error of a character", frame({"error": {"message": "boom \ud83d"}}) + DONE, "boom \ufffd"),
    failing(
        "context overflow", frame({"error": {"message": "no", "code": "context_length_exceeded"}}) + DONE, "no",
        code="context_length_exceeded",
    ),
    failing(
        "context overflow after text", A + b"error: Context size has been exceeded.\n\n" + DONE, "Context size", "A",
        code="context_length_exceeded",
    ),
]  # fmt: skip

SIDE_FIELDS = [
    saying("OpenRouter's comments", b": OPENROUTER PROCESSING\n\n" + A + END),
    saying("Azure's first chunk", frame({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}) + A + END),
    saying("Groq's x_groq", frame({"choices": [], "x_groq": {"id": "req"}}) + A + END),
    saying("koboldcpp's event message", b"event: message\n" + A + b"event: message\n" + STOP + DONE),
    saying("error null everywhere", frame({"error": None, "choices": [{"delta": {"content": "A"}}]}) + END),
    saying("error false beside text", frame({"error": False, "choices": [{"delta": {"content": "A"}}]}) + END),
    saying("error empty beside text", frame({"error": {}, "choices": [{"delta": {"content": "A"}}]}) + END),
    saying("a message beside text", frame({"message": "ok", "choices": [{"delta": {"content": "A"}}]}) + END),
    saying("a heartbeat object", A + frame({"type": "ping"}) + END),
    saying("sse-starlette's ping", A + b"event: ping\r\ndata: 2026-01-31 10:00:00.123456\r\n\r\n" + B + END, "AB"),
    saying("heartbeats of a word", A + b"data: ping\n\ndata: keep-alive\n\n" + B + END, "AB"),
    saying("Python's and JavaScript's nothing", A + b"data: None\n\ndata: undefined\n\n" + B + END, "AB"),
    saying("a list of nulls", A + b"data: [null]\n\n" + B + END, "AB"),
    saying("usage null", frame({"usage": None, "choices": [{"delta": {"content": "A"}}]}) + END, usage=None),
    saying("choices null", A + frame({"choices": None}) + END),
    saying("choices empty text and false", A + frame({"choices": ""}) + frame({"choices": False}) + B + END, "AB"),
    saying("choices of nulls", A + frame({"choices": [None, None]}) + END),
    saying("choice without delta", A + frame({"choices": [{"index": 0}]}) + END),
    saying("delta null at the end", A + frame({"choices": [{"delta": None, "finish_reason": "stop"}]}) + DONE),
    saying("index null", frame({"choices": [{"index": None, "delta": {"content": "A"}}]}) + END),
    saying("index as text", frame({"choices": [{"index": "0", "delta": {"content": "A"}}]}) + END),
    saying("another choice", frame({"choices": [{"index": 1, "delta": {"content": "Z"}}]}) + A + END),
    saying("NaN in an ignored field", b'data: {"choices":[{"delta":{"content":"A"}}],"x":NaN}\n\n' + END),
    saying("-Infinity in logprobs", b'data: {"choices":[{"delta":{"content":"A"},"logprobs":[-Infinity]}]}\n\n' + END),
    saying("half a character in an ignored field", b'data: {"x":"\\ud83d","choices":[{"delta":{"content":"A"}}]}\n\n' + END),
    saying("model as a number", frame({"model": 7, "choices": [{"delta": {"content": "A"}}]}) + END),
    saying("created as text", frame({"created": "now", "id": 5, "choices": [{"delta": {"content": "A"}}]}) + END),
    saying("timings of floats", A + frame({"choices": [], "timings": {"prompt_n": 1.5, "predicted_n": -2}}) + END, usage=None),
    saying(
        "Moonshot's usage in the choice",
        A + frame({"choices": [{"delta": {}, "finish_reason": "stop", "usage": FULL}]}) + DONE,
        usage=[3, 1],
    ),
    saying(
        "Groq's usage",
        A + frame({"choices": [{"delta": {}, "finish_reason": "stop"}], "x_groq": {"id": "r", "usage": FULL | {"queue_time": 0.1}}}) + DONE,
        usage=[3, 1],
    ),
    saying("Groq's usage in floats", A + STOP + frame({"choices": [], "x_groq": {"usage": {"prompt_tokens": 3.0, "completion_tokens": 1.0}}}) + DONE, usage=[3, 1]),
    saying("Groq's rubbish", A + frame({"choices": [], "x_groq": [7]}) + frame({"choices": [], "x_groq": {"usage": 7, "error": None}}) + END, usage=None),
    saying(
        "Moonshot's usage in floats",
        A + frame({"choices": [{"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3.0, "completion_tokens": 1.0}}]}) + DONE,
        usage=[3, 1],
    ),
    saying("usage of rubbish in the choice", frame({"choices": [{"delta": {"content": "A"}, "usage": 1}]}) + END, usage=None),
    saying("timings a list", A + frame({"timings": []}) + END, usage=None),
    saying("timings without prompt", A + frame({"timings": {"predicted_n": 2}}) + END, usage=None),
    saying("timings whole", A + frame({"timings": {"prompt_n": 2, "predicted_n": 3}}) + END, usage=[2, 3]),
    saying("timings in floats", A + frame({"timings": {"cache_n": 1.0, "prompt_n": 2.0, "predicted_n": 3.0}}) + END, usage=[3, 3]),
    saying("progress null", frame({"choices": [], "prompt_progress": None}) + A + END),
    saying("progress partial", frame({"prompt_progress": {"total": 5}}) + A + END),
    saying("progress of floats and nulls", frame({"prompt_progress": {"total": None, "processed": 1.5}}) + A + END),
    saying("progress negative", frame({"prompt_progress": {"total": -1, "processed": -1}}) + A + END),
    saying("parts", delta(content=[{"type": "text", "text": "A"}, None, "B", {"type": "image"}, 5]) + END, "AB"),
    saying("one part", delta(content={"type": "text", "text": "A"}) + END),
    saying("a part with a value", delta(content=[{"type": "text", "text": {"value": "A"}}]) + END),
    saying("a part of one value", delta(content=[{"type": "text", "value": "A"}]) + END),
    saying("no parts", A + delta(content=[]) + END),
    saying("content a number", A + delta(content=7) + END),
    saying(
        "Mistral's thinking",
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]) + A + END,
        reasoning="hm",
    ),
    saying("reasoning as a list", delta(reasoning_content=[{"type": "text", "text": "hm"}]) + A + END, reasoning="hm"),
    saying("OpenRouter's reasoning", delta(content="", reasoning="hm") + A + END, reasoning="hm"),
    saying("both names of reasoning", delta(reasoning="hm", reasoning_content="hm") + A + END, reasoning="hm"),
    saying("reasoning_details", delta(content="A", reasoning_details=[{"type": "x", "n": None}]) + END),
    saying("a refusal", delta(content=None, refusal="A") + STOP + DONE),
    saying("text of completions", frame({"choices": [{"text": "A", "index": 0, "finish_reason": None}]}) + END),
    saying("message instead of delta", frame({"choices": [{"message": {"content": "A"}}]}) + END),
    saying("the whole message again", A + B + frame({"choices": [{"message": {"content": "AB"}, "finish_reason": "stop"}]}) + DONE, "AB"),
    saying("Perplexity's both", frame({"choices": [{"delta": {"content": "A"}, "message": {"content": "A"}}]}) + END),
]  # fmt: skip

USAGES = [
    _measuring("full", FULL, [3, 1]),
    _measuring("floats", {"prompt_tokens": 3.0, "completion_tokens": 1.0}, [3, 1]),
    _measuring("broken floats", {"prompt_tokens": 3.5, "completion_tokens": 1}),
    _measuring("negative", {"prompt_tokens": -1, "completion_tokens": 1}),
    _measuring("one of two", {"prompt_tokens": 3}),
    _measuring("text", {"prompt_tokens": "3", "completion_tokens": 1}),
    _measuring("true", {"prompt_tokens": True, "completion_tokens": 1}),
    _measuring("a list", [3, 1]),
    _measuring("a number", 7),
    _measuring("absurd", {"prompt_tokens": 2**53 - 1, "completion_tokens": 1}),
    _measuring("just over the limit", {"prompt_tokens": 10**9 + 1, "completion_tokens": 1}),
    _measuring("at the limit", {"prompt_tokens": 10**9, "completion_tokens": 1}, [10**9, 1]),
    _measuring("beyond 64 bits", {"prompt_tokens": 2**70, "completion_tokens": 1}),
    saying("usage with the text", frame({"choices": [{"delta": {"content": "A"}}], "usage": FULL}) + END, usage=[3, 1]),
    saying("usage growing", A + frame({"usage": FULL}) + frame({"usage": FULL | {"completion_tokens": 2}}) + END, usage=[3, 2]),
    saying("usage full, then zero", A + frame({"usage": FULL}) + frame({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}) + END, usage=[3, 1]),
    saying("usage full, then null", A + frame({"usage": FULL}) + frame({"choices": [], "usage": None}) + END, usage=[3, 1]),
    saying("usage full, then absurd", A + frame({"usage": FULL}) + frame({"usage": {"prompt_tokens": 10**12, "completion_tokens": 1}}) + END, usage=[3, 1]),
    saying("usage behind the finish, left open", A + STOP + frame({"choices": [], "usage": FULL}), usage=[3, 1]),
]  # fmt: skip

ENDS = [
    saying("text and [DONE] without a finish reason", A + DONE),
    saying("[DONE] in quotes", A + STOP + b'data: "[DONE]"\n\n'),
    saying("[DONE] with a tab", A + STOP + b"data:\t[DONE]\t\n\n"),
    saying("[done]", A + STOP + b"data: [done]\n\n"),
    saying("[DONE] without a space", A + STOP + b"data:[DONE]\n\n"),
    saying("[DONE] in an event", A + STOP + b"event: done\ndata: [DONE]\n\n"),
    saying("CRLF", (A + END).replace(b"\n", b"\r\n")),
    saying("CR", (A + END).replace(b"\n", b"\r")),
    saying("a byte order mark", b"\xef\xbb\xbf" + A + END),
    saying("ids and retries", b"id: 1\nretry: 5\n" + A + END),
    saying("the field's name twice", b"data: " + A + END),
    saying("one newline between events", A[:-1] + B[:-1] + STOP[:-1] + DONE, "AB"),
    saying("no blank line at the end", A + STOP[:-2], held=False),
    saying("no blank line behind the last text", A + delta("stop", content="B")[:-1], "AB", held=False),
    saying("bare chunks", A[6:] + STOP[6:] + DONE),
    saying("bare chunks of one line each", A[6:-1] + STOP[6:-1], held=False),
    saying("a whole answer, bare", json.dumps({"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}).encode(), held=False),
    saying("an empty event name", b"event:\n" + A + END),
    saying("empty data without a space", A + b"data:\n\n" + END),
    saying("data of blanks", A + b"data:   \n\n" + END),
    saying("finish with the last text", delta("stop", content="A") + DONE),
    saying("finish with the last text, left open", delta("stop", content="A")),
    saying("text behind the finish reason", A + delta("stop") + B + DONE, "AB"),
    saying("finish reason empty", delta("", content="A") + STOP + DONE),
    saying("finish reason null as text", delta("null", content="A") + B + STOP + DONE, "AB"),
    saying("finish reason eos", A + delta("eos") + DONE),
    saying("finish reason stop_sequence", A + delta("stop_sequence") + DONE),
    saying("finish reason an object", A + delta({"type": "length"}) + DONE, ends="length"),
    saying("Gemini's content_filter", A + delta("content_filter: OTHER") + DONE, ends="content_filter"),
    saying("data of numbers and nothing", b"data: true\n\ndata: 5\n\ndata: []\n\n" + A + END),
    saying("a whole message beside an empty delta", frame({"choices": [{"delta": {}, "message": {"content": "A"}, "finish_reason": "stop"}]}) + DONE),
    saying("a part of reasoning", delta(content=[{"type": "reasoning", "text": "hm"}]) + A + END, reasoning="hm"),
    saying("finish reason in capitals", A + delta("LENGTH") + DONE, ends="length"),
    saying("finish reason with a space", A + delta("length ") + DONE, ends="length"),
    saying("Gemini's MAX_TOKENS", A + delta("MAX_TOKENS") + DONE, ends="length"),
    saying("Mistral's model_length", A + delta("model_length") + DONE, ends="length"),
    saying("Gemini's SAFETY", A + delta("SAFETY") + DONE, ends="content_filter"),
    saying("Gemini's RECITATION", A + delta("RECITATION") + DONE, ends="content_filter"),
    saying("Zhipu's sensitive", A + delta("sensitive") + DONE, ends="content_filter"),
    saying("finish reason tool_calls without calls", A + delta("tool_calls") + DONE),
    saying("finish reason a number", A + delta(2) + DONE),
    saying("finish reason content_filter", A + delta("content_filter") + DONE, ends="content_filter"),
    saying("content_filter without a word", delta("content_filter") + DONE, "", ends="content_filter"),
    saying("stop without a word", STOP + DONE, ""),
    failing("broken off", A, "broke off", "A"),
    failing("broken off inside a frame", A + B[:20], "broke off", "A"),
    failing("an HTML page", b"<html>\n<body>Bad gateway</body>\n\n</html>", "broke off"),
]  # fmt: skip

FOREIGN = [*ERRORS, *SIDE_FIELDS, *USAGES, *ENDS]
