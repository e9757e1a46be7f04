"""Whatever stands beside the text, however fragments interleave and characters are cut: the same reply."""

import json
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, TransportEvent, Usage
from transports.llama.chunk_parser import ChunkParser

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
counts = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "cache_n", "prompt_n", "predicted_n", "total"])
    | st.sampled_from(["predicted_per_second", "processed", "prompt_tokens_details"]),
    anything,
)
side_fields = st.fixed_dictionaries(
    {},
    optional={
        "usage": anything | counts,
        "timings": anything | counts,
        "prompt_progress": anything | counts,
        "model": anything,
        "id": anything,
        "created": anything,
        "object": anything,
        "message": anything,
        "system_fingerprint": anything,
        "x_groq": anything,
        "error": st.sampled_from([None, False, "", {}, [], 0]),
    },
)
choice_fields = st.fixed_dictionaries(
    {}, optional={"logprobs": anything, "native_finish_reason": anything, "matched_stop": anything}
)
delta_fields = st.fixed_dictionaries(
    {}, optional={"role": anything, "audio": anything, "annotations": anything, "tool_calls": st.none()}
)


whole_call = st.tuples(st.sampled_from("fgh"), st.dictionaries(st.text(max_size=3), st.integers()))


def heard(*chunks: Any) -> list[TransportEvent | Done]:
    parser = ChunkParser()
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    events: list[TransportEvent | Done] = [*parser.feed(stream + b"data: [DONE]\n\n"), parser.completed()]
    for event in events:
        repr(event).encode()  # no half of a character is left
    return events


def chunk(delta: Any, finish_reason: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **fields}


def text_of(events: list[TransportEvent | Done]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@settings(deadline=None)
@given(st.lists(side_fields, min_size=3, max_size=3), choice_fields, delta_fields)
def test_side_fields_decide_nothing(beside: list[Any], in_choice: Any, in_delta: Any) -> None:
    first = {"choices": [{"index": 0, "delta": {"content": "A", **in_delta}, **in_choice}], **beside[0]}
    events = heard(first, chunk({"content": "B"}, **beside[1]), chunk({}, "stop", **beside[2]))
    assert text_of(events) == "AB"
    assert isinstance(events[-1], Done)
    assert events[-1].reason == "stop"
    for event in events:
        assert isinstance(event, Delta | Done | Usage | Progress)
        if isinstance(event, Usage):
            assert 0 <= event.prompt_tokens <= 10**9
            assert 0 <= event.completion_tokens <= 10**9


def fragments(number: int, name: str, arguments: str, chance: Random) -> list[dict[str, Any]]:
    """A numbered call in pieces; some name its id and function again."""
    edges = sorted({0, len(arguments), *(chance.randint(0, len(arguments)) for _ in range(3))})
    parts = [{"index": number, "id": f"c{number}", "function": {"name": name, "arguments": ""}}]
    for start, end in pairwise(edges):
        part: dict[str, Any] = {"index": number, "function": {"arguments": arguments[start:end]}}
        if chance.random() < 0.5:
            part["id"] = f"c{number}"
            part["function"]["name"] = name
        parts.append(part)
    return parts


def interleaved(queues: list[list[dict[str, Any]]], chance: Random) -> list[list[dict[str, Any]]]:
    """Chunks in which the calls begin in order and go on in any."""
    chunks = [[queue.pop(0) for queue in queues]]
    while waiting := [queue for queue in queues if queue]:
        chunks.append([queue.pop(0) for queue in chance.sample(waiting, chance.randint(1, len(waiting)))])
    return chunks


@settings(deadline=None)
@given(st.lists(whole_call, min_size=1, max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_fragments_of_calls_may_interleave(meant: list[tuple[str, Any]], chance: Random, ascii: bool) -> None:
    queues = [
        fragments(number, name, json.dumps(arguments, ensure_ascii=ascii), chance)
        for number, (name, arguments) in enumerate(meant)
    ]
    reason = chance.choice(["stop", "tool_calls", "eos"])
    chunks = interleaved(queues, chance)
    events = heard(*(chunk({"tool_calls": parts}) for parts in chunks), chunk({}, reason))
    told = [event for event in events if isinstance(event, ToolCall)]
    assert [(call.name, json.loads(call.arguments)) for call in told] == meant
    assert len({call.id for call in told}) == len(meant)
    assert events[-1] == Done("tool_calls")


@settings(deadline=None)
@given(st.lists(whole_call, min_size=1, max_size=5), st.booleans())
def test_whole_calls_may_all_be_numbered_0_or_not_at_all(
    meant: list[tuple[str, Any]], numbered: bool
) -> None:
    parts = [
        {
            **({"index": 0} if numbered else {}),
            "id": f"c{number}",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for number, (name, arguments) in enumerate(meant)
    ]
    for chunks in ([[part] for part in parts], [parts]):
        events = heard(*(chunk({"tool_calls": parts}) for parts in chunks), chunk({}, "stop"))
        told = [event for event in events if isinstance(event, ToolCall)]
        assert [(call.name, json.loads(call.arguments)) for call in told] == meant


@settings(deadline=None)
@given(st.text(max_size=12), st.lists(st.integers(0, 24)), st.sampled_from(["content", "reasoning_content"]))
def test_text_cut_between_any_two_units_of_utf_16_arrives_whole(
    text: str, cuts: list[int], field: str
) -> None:
    units = text.encode("utf-16-le")
    edges = sorted({0, len(units), *(min(2 * at, len(units)) for at in cuts)})
    pieces = [units[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(edges)]
    events = heard(*(chunk({field: piece}) for piece in pieces), chunk({}, "stop"))
    told = "".join(event.text for event in events if isinstance(event, Delta | Reasoning))
    assert told == text


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 59))
def test_rubbish_is_an_error_of_ours_or_nothing(rubbish: bytes, at: int) -> None:
    for stream in (rubbish, b"data: " + rubbish + b"\n\n", b"event: error\ndata: " + rubbish + b"\n\n"):
        parser = ChunkParser()
        try:
            parser.feed(stream[:at])
            if parser.done is None:
                parser.feed(stream[at:])
            if parser.done is None:
                parser.eof()
        except GatewayError as error:
            str(error).encode()


@settings(deadline=None)
@given(anything, anything)
def test_json_of_any_shape_is_an_error_of_ours_or_nothing(value: Any, inner: Any) -> None:
    for said in (value, {"choices": value}, {"choices": [value]}, chunk(value), chunk({"content": value}),
                 chunk({"tool_calls": value}), chunk({"tool_calls": [{"function": value, "index": inner}]}),
                 {"error": value}, chunk({}, value), {"message": value, "detail": inner}):  # fmt: skip
        parser = ChunkParser()
        try:
            parser.feed(b"data: " + json.dumps(said).encode() + b"\n\n")
            if parser.done is None:
                parser.eof()
        except GatewayError as error:
            str(error).encode()
