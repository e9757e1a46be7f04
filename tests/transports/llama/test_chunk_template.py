"""The shortcut for chunks that are alike: it gives what decoding the whole chunk gives, whatever comes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.errors import GatewayError
from transports.llama import chunk_template
from transports.llama.chunk_parser import ChunkParser
from transports.llama.chunk_template import ChunkTemplate
from transports.llama.chunks import decode_strictly

BEFORE = b'{"choices":[{"finish_reason":null,"index":0,"delta":{"content":'
AFTER = b'}}],"created":1,"id":"c-1","model":"tiny","object":"chat.completion.chunk"}'


def like_llama(content: bytes) -> bytes:
    return BEFORE + content + AFTER


def learned(frame: bytes) -> ChunkTemplate:
    template = ChunkTemplate()
    template.learn(frame, decode_strictly(frame))
    return template


def text_in(template: ChunkTemplate, frame: bytes) -> str | None:
    texts = template.texts_in([frame])
    assert len(texts) <= 1
    assert template.text_in_event(b"data: %b\n\n" % frame) == (texts[0] if texts else None)
    return texts[0] if texts else None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'" a"', " a"),
        (b'"\\n\\t\\"\\\\"', '\n\t"\\'),
        (b'"\\u00e9\\ud83d\\ude00"', "é😀"),
        ('"é😀\u2028"'.encode(), "é😀\u2028"),
        (b'"\\"}}],\\"x\\":\\""', '"}}],"x":"'),
    ],
)
def test_a_chunk_like_the_learned_one_gives_its_text(content: bytes, text: str) -> None:
    assert text_in(learned(like_llama(b'"first"')), like_llama(content)) == text
    assert text_in(learned(like_llama(content)), like_llama(b'"first"')) == "first"


@pytest.mark.parametrize(
    "frame",
    [
        like_llama(b'""'),
        like_llama(b"null"),
        like_llama(b'"a"').replace(b'"created":1', b'"created":2'),
        like_llama(b'"a","x":"b"'),
        like_llama(b'"a","content":"b"'),
        like_llama(b'"a"}},{"index":1,"delta":{"content":"b"'),
        like_llama(b'"\\ud83d"'),
        like_llama(b'"\\ude00"'),
        like_llama(b'"\xff"'),
        like_llama(b'"a\nb"'),
        like_llama(b'"\\x"'),
        like_llama(b'"'),
        BEFORE + AFTER,
        BEFORE + b'"' + AFTER[1:],
        like_llama(b'"a"').replace(b"tiny", b"other"),
        like_llama(b'"a"').replace(b'"index":0', b'"index":1'),
        like_llama(b'"a"').replace(b"null", b'"stop"'),
        b"[DONE]",
        b"",
    ],
)
def test_a_chunk_that_only_looks_like_it_gives_none(frame: bytes) -> None:
    assert text_in(learned(like_llama(b'"first"')), frame) is None


@pytest.mark.parametrize(
    "read",
    [
        b"data: %b\n",
        b"data: %b\n\n\n",
        b"data: %b\r\n\r\n",
        b"data:%b\n\n",
        b"event: error\ndata: %b\n\n",
        b"data: %b\n\ndata: %b\n\n",
        b"%b",
    ],
)
def test_a_read_that_is_not_one_whole_event_is_not_taken_for_one(read: bytes) -> None:
    chunk = like_llama(b'"a"')
    assert learned(chunk).text_in_event(b"data: %b\n\n" % chunk) == "a"
    assert learned(chunk).text_in_event(read.replace(b"%b", chunk)) is None


@pytest.mark.parametrize("content", [b'"a"\n', b'\n"a"', b' "a"', b'"a" ', b'"a\nb"'])
def test_a_line_that_ends_within_the_chunk_is_not_taken_for_an_event(content: bytes) -> None:
    template = learned(like_llama(b'"first"'))
    assert template.text_in_event(b"data: %b\n\n" % like_llama(content)) is None


@pytest.mark.parametrize(
    "frame",
    [
        b'{"choices":[{"delta":{"conten\\u0074":"a"}}],"content":"a"}',
        b'{"choices":[{"delta":{"content":"a","conten\\u0074":"a"}}]}',
        b'{"choices":[{"delta":{"content":"a","content":"a"}}]}',
        b'{"choices":[{"delta":{"x\\"content":"a","conten\\u0074":"a"}}]}',
        b'{"content":"a","choices":[{"delta":{"conten\\u0074":"a"}}]}',
        b'{"choices":[{"message":{"content":"a"}}]}',
        b'{"choices":[{"delta":{"content":"a","tool_calls":[{"function":{"name":"f"}}]}}]}',
        b'{"choices":[{"delta":{"content":"a","reasoning_content":"b"}}]}',
        b'{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}',
        b'{"choices":[{"delta":{"content":"a"}},{"index":1,"delta":{}}]}',
        b'{"choices":[{"index":1,"delta":{"content":"a"}}]}',
        b'{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}',
        b'{"choices":[{"delta":{"content":"a"}}],"timings":{"prompt_n":1}}',
        b'{"choices":[{"delta":{"content":"a"}}],"error":"no"}',
    ],
)
def test_a_chunk_that_says_more_or_hides_its_text_is_not_learned(frame: bytes) -> None:
    template = learned(frame)
    assert text_in(template, frame) is None
    assert text_in(template, frame.replace(b'"a"', b'"b"')) is None


def test_a_new_second_is_learned_again_and_noise_is_given_up() -> None:
    template = ChunkTemplate()
    for second in range(20):  # each template fits once: it is worth learning the next
        frame = like_llama(b'"a"').replace(b":1,", b":%d," % second)
        template.learn(frame, decode_strictly(frame))
        assert text_in(template, frame) == "a"
    for second in range(20):
        frame = like_llama(b'"a"').replace(b":1,", b":%d," % second)
        template.learn(frame, decode_strictly(frame))
    assert text_in(template, frame) is None


def test_other_chunks_in_between_leave_the_template_as_it_is() -> None:
    template = learned(like_llama(b'"a"'))
    usage = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    template.learn(usage, decode_strictly(usage))
    assert text_in(template, like_llama(b'"b"')) == "b"


def outcome(parts: list[bytes]) -> list[Any]:
    """The events that a parser makes of these reads, then the error or Done."""
    parser = ChunkParser()
    heard: list[Any] = []
    try:
        for part in parts:
            heard += parser.feed(part)
            if parser.done is not None:
                return [*heard, parser.done]
        heard += parser.eof()
        return [*heard, parser.completed()]
    except GatewayError as error:
        return [*heard, type(error), str(error)]


TEXTS = st.one_of(
    st.text(st.characters(), max_size=4),
    st.sampled_from(['"', "\\", '","content":"', "\ud83d", "\ude00", "\ud83d\ude00", "\u2028", "\x00\n", ""]),
)
DELTAS = st.one_of(
    st.fixed_dictionaries({"content": TEXTS}),
    st.fixed_dictionaries({"content": TEXTS, "role": st.just("assistant")}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXTS}),
    st.fixed_dictionaries({"reasoning_content": TEXTS}),
    st.just({"tool_calls": [{"index": 0, "id": "i", "function": {"name": "f", "arguments": "{}"}}]}),
    st.just({}),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    choice = {"index": draw(st.sampled_from([0, 0, 0, 1])), "delta": draw(DELTAS)}
    chunk = {"choices": [choice], "created": draw(st.sampled_from([1, 1, 1, 2])), "content": "outside"}
    if draw(st.booleans()):
        del chunk["content"]
    spaced = draw(st.sampled_from([(",", ":"), (",", ":"), (", ", ": ")]))
    text = json.dumps(chunk, ensure_ascii=draw(st.booleans()), separators=spaced)
    return b"data: " + text.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"\n\n", b"\r\n\r\n"]))


@given(st.lists(frames(), max_size=12), st.data())
def test_any_stream_cut_anywhere_gives_what_decoding_every_chunk_gives(
    stream: list[bytes], data: st.DataObject
) -> None:
    body = b"".join(stream) + b"data: [DONE]\n\n"
    edges = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=6)))
    cut = [body[start:end] for start, end in zip([0, *edges], [*edges, len(body)], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_template, "MAX_MISSES", -1)
        whole = outcome([body])
    assert outcome([body]) == whole
    assert outcome([*stream, b"data: [DONE]\n\n"]) == whole
    assert outcome(cut) == whole


@pytest.mark.parametrize("begun", [b": a comment ", b"data: x", b"event: error\n", b"data:", b"\r", b"\n"])
def test_a_read_like_a_chunk_that_ends_another_event_is_read_with_it(begun: bytes) -> None:
    chunk, end = b"data: " + like_llama(b'"a"') + b"\n\n", b"data: [DONE]\n\n"
    assert outcome([chunk, begun, chunk, end]) == outcome([chunk + begun + chunk + end])


def test_a_stream_of_like_chunks_may_be_cut_at_every_byte() -> None:
    contents = [b'"a"', b'"\\""', '"é😀"'.encode(), b'"\\ud83d\\ude00"', b'"\\ud83d"', b'"\\ude00"', b'"z"']
    contents += [b'"\\ud83d"', b'"y"']
    body = b"".join(b"data: " + like_llama(content) + b"\n\n" for content in contents) + b"data: [DONE]\n\n"
    whole = outcome([body])
    assert "".join(event.text for event in whole[:-1]) == 'a"é😀😀😀z\ufffdy'
    assert outcome([body[at : at + 1] for at in range(len(body))]) == whole
    for at in range(len(body)):
        assert outcome([body[:at], body[at:]]) == whole


@pytest.mark.parametrize("bad", [b'""', b'"\\ud83d"', b'"\xff"', b'"a","b"', b'"x"],["y"', b"", b"1"])
def test_the_texts_before_one_that_is_refused_are_taken_together(bad: bytes) -> None:
    frames = [like_llama(content) for content in (b'"a"', b'"b"', bad, b'"c"')]
    template = learned(like_llama(b'"first"'))
    assert template.texts_in(frames) == ["a", "b"]
    assert template.texts_in(frames, 2) == []
    assert template.texts_in(frames, 3) == ["c"]


def test_many_texts_are_taken_in_portions() -> None:
    template = learned(like_llama(b'"first"'))
    frames = [like_llama(b'"%d"' % number) for number in range(1, 101)]
    assert len(template.texts_in(frames)) == chunk_template.MAX_FRAMES
    assert template.texts_in(frames, 98) == ["99", "100"]
    assert template.texts_in(frames, 100) == []
