"""Words, blanks and rare fields in the streams of other model servers."""

# ruff: noqa: E501  - a case is a line

from tests.transports.llama.foreign_streams import DONE, END, STOP, A, B, delta, failing, frame, saying

WORDS = [
    *(saying(f"heartbeat {word!r}", A + b"data: " + word + b"\n\n" + B + END, "AB")
      for word in (b": keepalive", b":", b".", b"[HEARTBEAT]", b"[PING]", b'"ping"', b"Keep_Alive", b"pong", b"-", b"\0")),
    *(saying(f"end {word!r}", A + STOP + b"data: " + word + b"\n\n") for word in (b"DONE", b"[ DONE ]", b"[END]", b"[DONE]\0", b"done.")),
    saying("a heartbeat with words", A + frame({"type": "keep-alive", "message": "still here"}) + B + END, "AB"),
    saying("an event of heartbeats with JSON", A + b'event: heartbeat\ndata: {"message":"alive"}\n\n' + B + END, "AB"),
    failing("a heartbeat with an error", A + frame({"type": "ping", "error": "boom"}) + DONE, "boom", "A"),
    saying("a blank as heartbeat right before data", A + b"  " + B + END, "AB"),
    saying("a NUL as heartbeat right before data", A + b"\0" + B + END, "AB"),
    saying("the field's name in capitals", (A + B + END).replace(b"data:", b"Data:"), "AB"),
    saying("a blank behind the field's name", (A + B + END).replace(b"data:", b"data :"), "AB"),
    saying("[DONE] without a line's end, left open", A + b"data: [DONE]"),
    saying("[DONE] with one line's end, left open", A + b"data: [DONE]\n"),
    saying("[DONE] without a line's end", A + b"data: [DONE]", held=False),
    saying("a tab within a string", b'data: {"choices":[{"delta":{"content":"A\tB"}}]}\n\n' + END, "A\tB"),
    saying("reasoning_details alone", delta(reasoning_details=[{"type": "reasoning.text", "text": "hm"}]) + A + END, reasoning="hm"),
    saying("a summary in reasoning_details", delta(content="", reasoning_details=[{"summary": "hm"}]) + A + END, reasoning="hm"),
    saying("Copilot's reasoning_text", delta(reasoning_text="hm") + A + END, reasoning="hm"),
    saying("thinking", delta(content=None, thinking="hm") + A + END, reasoning="hm"),
    saying("reasoning beside reasoning_details", delta(reasoning="hm", reasoning_details=[{"text": "hm"}]) + A + END, reasoning="hm"),
    saying("finish reason max_output_tokens", A + delta("max_output_tokens") + DONE, ends="length"),
    saying("Gemini's PROHIBITED_CONTENT", A + delta("PROHIBITED_CONTENT") + DONE, ends="content_filter"),
    saying("Bedrock's guardrail_intervened", A + delta("guardrail_intervened") + DONE, ends="content_filter"),
    saying("TOOL_CALLS without calls", A + delta("TOOL_CALLS") + DONE),
    failing("a status of error", A + frame({"status": "ERROR", "data": "x"}) + DONE, "without saying why", "A"),
    failing("a status of failed", A + frame({"status": "failed", "reason": "boom"}) + DONE, "boom", "A"),
    failing("an event named error within the data", A + frame({"event": "error", "msg": "boom"}) + DONE, "boom", "A"),
    failing("no success", A + frame({"success": False, "errorMsg": "boom"}) + DONE, "boom", "A"),
    failing("not ok", A + frame({"ok": False}) + DONE, "without saying why", "A"),
    failing("AWS Lambda's", A + frame({"errorMessage": "boom", "errorType": "X"}) + DONE, "boom", "A"),
    failing("an error_description", A + frame({"error_description": "boom"}) + DONE, "boom", "A"),
    failing("an exception", A + frame({"exception": "boom"}) + DONE, "boom", "A"),
    failing("a code and a message", A + frame({"code": 500, "message": "boom"}) + DONE, "boom", "A"),
    failing("code 0 beside an error", A + frame({"code": 0, "error": "boom"}) + DONE, "boom", "A"),
    saying("code 0 and success", A + frame({"code": 0, "message": "success", "choices": []}) + B + END, "AB"),
    saying("code 200 and ok", A + frame({"code": 200, "msg": "ok"}) + B + END, "AB"),
    saying("status 200 and ok", A + frame({"status": 200, "message": "ok"}) + B + END, "AB"),
    saying("a status of processing", A + frame({"status": "processing"}) + B + END, "AB"),
    saying("success", A + frame({"success": True, "ok": True}) + B + END, "AB"),
    failing("finish reason failed", A + delta("failed") + DONE, "'failed'", "A"),
]  # fmt: skip
