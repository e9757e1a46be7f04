"""Chat completion chunks become transport events, in order; cuts and errors lose none of them."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.contract.errors import ProtocolViolation, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, TransportEvent, Usage
from tests.transports.llama import captures
from transports.llama.chunk_parser import ChunkParser

DONE = b"data: [DONE]\n\n"


def events_of(parts: Iterable[bytes]) -> list[TransportEvent | Done]:
    """Return the events until Done. The rest of the stream stays unread."""
    parser = ChunkParser()
    events: list[TransportEvent | Done] = []
    for part in parts:
        events += parser.feed(part)
        if parser.done is not None:
            break
    else:
        events += parser.eof()
    assert parser.done is not None
    return [*events, parser.done]


def frame(**chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def said(finish_reason: str | None = None, **delta: Any) -> bytes:
    return frame(choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])


def call(index: int | None = None, id: str | None = None, **function: str) -> dict[str, Any]:
    return {"index": index, "id": id, "type": "function", "function": function}


def text_of(events: Iterable[TransportEvent | Done]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.mark.parametrize("name", captures.STREAMS)
def test_a_real_stream_cut_at_any_byte_gives_the_same_events(name: str) -> None:
    body = captures.body(name)
    whole = events_of([body])
    assert isinstance(whole[-1], Done)
    assert events_of(body[at : at + 1] for at in range(len(body))) == whole
    for at in range(len(body)):
        assert events_of([body[:at], body[at:]]) == whole


def test_a_real_stream_says_what_llama_cpp_said() -> None:
    assert events_of([captures.body("chat_stream_usage")]) == [
        *[Delta(text) for text in ("white", " spell", " now", " seem", " say", " water")],
        Usage(31, 6, 37, tokens_per_s=1363.884342607747),
        Done("length", "tiny"),
    ]


def test_text_beyond_ascii_arrives_as_it_is() -> None:
    assert text_of(events_of([captures.body("grammar_utf8")])).startswith("Hé 🙂")


def test_thinking_is_told_from_the_answer() -> None:
    events = events_of([captures.body("think")])
    thoughts = "".join(event.text for event in events if isinstance(event, Reasoning))
    assert thoughts.startswith("The user asks about the ")
    assert text_of(events).endswith(".")
    assert "The user asks" not in text_of(events)


def test_prompt_progress_is_told() -> None:
    events = events_of([captures.body("chat_stream_progress_long")])
    steps = [Progress("prompt", processed=done, total=1460) for done in (0, 512, 1024, 1460)]
    assert events[:4] == steps


def test_a_tool_call_is_said_once_and_whole() -> None:
    events = events_of([captures.body("tool_auto")])
    assert events[0] == ToolCall("CoHk7Gm4fzNNslpDgWO492Fan4L3QlSH", "get_weather", '{"city": "Oslo"}')
    assert events[-1] == Done("tool_calls", "tiny")


def test_of_several_choices_only_the_first_is_heard() -> None:
    assert text_of(events_of([captures.body("chat_stream_n2")])) == "white spell now"


def test_calls_are_said_when_the_reply_has_ended_since_their_fragments_may_interleave() -> None:
    parser = ChunkParser()
    assert parser.feed(said(tool_calls=[call(0, "a", name="one", arguments="{")])) == []
    assert parser.feed(said(tool_calls=[call(1, "b", name="two", arguments="1")])) == []
    assert parser.feed(said("tool_calls", tool_calls=[call(0, arguments="}")])) == []
    assert parser.feed(DONE) == [ToolCall("a", "one", "{}"), ToolCall("b", "two", "1")]


def test_calls_that_are_not_numbered_are_told_apart_by_their_names() -> None:
    events = events_of([said("tool_calls", tool_calls=[call(name="one"), call(name="two")]), DONE])
    assert events[:-1] == [ToolCall("call_0", "one", "{}"), ToolCall("call_1", "two", "{}")]


def test_calls_of_one_reply_never_share_an_id() -> None:
    events = events_of([said(tool_calls=[call(0, "a", name="one"), call(1, "a", name="two")]), DONE])
    assert len({event.id for event in events if isinstance(event, ToolCall)}) == 2


def test_a_call_without_a_name_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation):
        events_of([said("tool_calls", tool_calls=[call(0, "a", arguments="{}")])])


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param({}, id="nothing at all"),
        pytest.param({"choices": []}, id="no choices"),
        pytest.param({"choices": None, "usage": None, "model": None, "error": None}, id="nulls"),
        pytest.param({"choices": [{}]}, id="an empty choice"),
        pytest.param({"choices": [{"delta": None, "logprobs": {"x": [1]}}], "odd": 1}, id="unknown fields"),
        pytest.param({"choices": [{"delta": {"content": ""}, "finish_reason": ""}]}, id="empty strings"),
    ],
)
def test_chunks_that_say_nothing_are_passed_over(chunk: dict[str, Any]) -> None:
    assert events_of([said(content="a"), frame(**chunk), said("stop"), DONE]) == [Delta("a"), Done("stop")]


def test_usage_that_comes_after_the_finish_reason_precedes_done() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert events_of([said("length", content="a"), frame(choices=[], usage=usage), DONE]) == [
        Delta("a"),
        Usage(3, 4, 7),
        Done("length"),
    ]


def test_usage_that_is_repeated_is_said_once() -> None:
    growing = [frame(usage={"prompt_tokens": 1, "completion_tokens": made}) for made in range(3)]
    assert events_of([*growing, said("stop"), DONE]) == [Usage(1, 2, 3), Done("stop")]


def test_timings_stand_in_for_usage() -> None:
    timings = {"cache_n": 2, "prompt_n": 3, "predicted_n": 4, "predicted_per_second": 9.5}
    assert events_of([said("stop"), frame(timings=timings), DONE]) == [Usage(5, 4, 9, 9.5), Done("stop")]


def test_an_unknown_finish_reason_is_a_stop() -> None:
    assert events_of([said("eos"), DONE]) == [Done("stop")]


def test_other_names_for_reasoning_are_understood() -> None:
    assert events_of([said(reasoning="hm"), DONE])[0] == Reasoning("hm")


def test_nothing_is_heard_after_done() -> None:
    parser = ChunkParser()
    assert parser.feed(said(content="a") + DONE + said(content="b")) == [Delta("a")]
    assert parser.done == Done("stop")
    assert parser.failure is None


@pytest.mark.parametrize("end", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n", b"data:[DONE]\r"])
def test_the_last_line_needs_no_blank_line(end: bytes) -> None:
    assert events_of([said(content="a"), end]) == [Delta("a"), Done("stop")]


def test_a_finish_reason_is_enough_of_an_end() -> None:
    assert events_of([said("length", content="a")]) == [Delta("a"), Done("length")]


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed):
        events_of([said(content="a")])
    with pytest.raises(UpstreamFailed):
        events_of([said(finish_reason="")])
    with pytest.raises(UpstreamFailed):
        events_of([])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"message": "out of memory", "code": 500}, "out of memory"),
        ({"error": {"message": "deep"}}, "deep"),
        ({"detail": "in detail"}, "in detail"),
        ("just text", "just text"),
        ([1, 2], "the model server failed without saying why"),
        ({}, "the model server failed without saying why"),
        ({"message": {"not": "text"}}, "the model server failed without saying why"),
        ({"message": "x" * 10_000}, "x" * 500),
    ],
)
def test_an_error_in_the_stream_says_what_the_server_said(error: Any, message: str) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        events_of([frame(error=error)])
    assert str(failed.value) == message


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(frame(error="broken"), UpstreamFailed), (b"data: {nonsense\n\n", ProtocolViolation)],
)
def test_what_came_before_trouble_in_the_same_read_is_given_first(
    trouble: bytes, kind: type[Exception]
) -> None:
    parser = ChunkParser()
    assert parser.feed(said(content="a") + trouble + said(content="b")) == [Delta("a")]
    assert isinstance(parser.failure, kind)
    with pytest.raises(kind):
        parser.feed(b"")
    with pytest.raises(kind):
        parser.eof()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{hello", id="not JSON"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'{"choices": 1}', id="choices of another type"),
        pytest.param(b'{"error": ' + b"[" * 100_000, id="nested without end"),
        pytest.param(b"[" * 900 + b"]" * 900, id="lists in lists"),
        pytest.param(
            b'{"choices":[{"delta":{"content":' + b"[" * 900 + b"]" * 900 + b"}}]}", id="parts in parts"
        ),
        pytest.param(b"data:" * 2_000 + b"<", id="a field's name without end"),
    ],
)
def test_data_that_is_no_chunk_is_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        events_of([b"data: " + data + b"\n\n"])


@pytest.mark.parametrize(
    "frame_data",
    [
        pytest.param(b'{"x":"\xff","choices":[{"delta":{"content":"a"}}]}', id="not UTF-8"),
        pytest.param(
            b'{"x":"\xff","choices":[{"delta":{"role":"text"},"text":"a"}]}', id="not UTF-8, completions"
        ),
        pytest.param(b'{"x":%s,"choices":[{"delta":{"content":"a"}}]}' % (b"9" * 5000), id="a huge number"),
        pytest.param(b'{"x":1e999,"choices":[{"delta":{"content":"a"}}]}', id="beyond a float"),
    ],
)
def test_rubbish_in_ignored_fields_is_ignored(frame_data: bytes) -> None:
    ignored = b'data: {"x":"\xff"}\n\ndata: {"x":' + b"9" * 5000 + b"}\n\n"
    stream = [ignored, b"data: " + frame_data + b"\n\n", said("stop"), DONE]
    assert events_of(stream) == [Delta("a"), Done("stop")]


@pytest.mark.parametrize("choices", [b'{"finish_reason":"error"}', b'[null,{"finish_reason":"error"}]'])
def test_a_reply_that_is_given_up_fails_whatever_else_the_frame_holds(choices: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="'error'"):
        events_of([b'data: {"x":NaN,"choices":' + choices + b"}\n\n", DONE])


def test_an_error_in_another_encoding_keeps_what_can_be_read_of_it() -> None:
    with pytest.raises(UpstreamFailed, match="caf\ufffd is closed"):
        events_of([b'data: {"error":{"message":"caf\xe9 is closed"}}\n\n'])


def test_separators_that_are_no_line_ends_survive_in_the_text() -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    stream = said(content=text) + said("stop") + DONE
    for at in range(len(stream)):
        assert text_of(events_of([stream[:at], stream[at:]])) == text


def test_an_unstreamed_answer_is_one_piece() -> None:
    text = Delta("white spell now seem say water go part animal own spell")
    usage = Usage(31, 12, 43, tokens_per_s=3397.15873996294)
    parser = ChunkParser()
    assert parser.whole(captures.body("chat_nostream")) == []
    assert parser.done == Done("stop", "tiny", (text, usage))


def test_an_unstreamed_answer_of_tool_calls_has_no_text() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call(None, "a", name="f", arguments="{}")],
    }
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}).encode()
    parser = ChunkParser()
    parser.whole(body)
    assert parser.done == Done("tool_calls", None, (ToolCall("a", "f", "{}"),))


def test_other_json_is_no_answer() -> None:
    with pytest.raises(ProtocolViolation):
        ChunkParser().whole(b'{"status":"ok"}')
    with pytest.raises(UpstreamFailed):
        ChunkParser().whole(b'{"error":{"message":"no"}}')


def test_an_object_with_many_lists_is_read_loosely() -> None:
    many = b'{"x":"\\ud800","y":[' + b"[]," * 500 + b'[]],"choices":[{"delta":{"content":"a"}}]}'
    assert events_of([b"data: " + many + b"\n\n", frame(), b"data: [DONE]\n\n"])[0] == Delta("a")
