"""A chunk in which one field cannot be used keeps all the others."""

import json
from typing import Any

import msgspec
import pytest

from transports.llama.chunks import Chunk, decode_strictly
from transports.llama.loose_chunks import read_loosely

MESSAGE: dict[str, Any] = {
    "content": "text",
    "reasoning_content": "thought",
    "reasoning": "another",
    "tool_calls": [{"index": 1, "id": "call-1", "function": {"name": "look", "arguments": '{"at":1}'}}],
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
CHOICE = {"index": 2, "delta": MESSAGE, "message": MESSAGE, "finish_reason": "length", "usage": USAGE}
WHOLE: dict[str, Any] = {
    "choices": [CHOICE],
    "model": "small",
    "usage": USAGE,
    "x_groq": {"usage": USAGE, "error": "full"},
    "timings": {"cache_n": 5, "prompt_n": 6, "predicted_n": 7, "predicted_per_second": 8.5},
    "prompt_progress": {"processed": 9, "total": 10},
    "error": {"message": "full"},
}


def strictly(said: object) -> Chunk:
    return decode_strictly(json.dumps(said))


def test_a_whole_chunk_is_the_same_by_both() -> None:
    assert read_loosely(WHOLE) == strictly(WHOLE)


@pytest.mark.parametrize("field", ["model", "usage", "timings", "prompt_progress"])
def test_an_unusable_field_takes_no_other_with_it(field: str) -> None:
    broken = WHOLE | {field: ["?"]}
    with pytest.raises(msgspec.ValidationError):
        strictly(broken)
    found, whole = read_loosely(broken), strictly(WHOLE)
    for other in WHOLE.keys() - {field}:
        assert getattr(found, other) == getattr(whole, other)


@pytest.mark.parametrize("field", ["usage", "timings", "prompt_progress"])
def test_an_unusable_figure_is_absent_and_the_others_stay(field: str) -> None:
    for name in WHOLE[field]:
        found = getattr(read_loosely(WHOLE | {field: WHOLE[field] | {name: ["?"]}}), field)
        assert getattr(found, name) is None
        for other in WHOLE[field].keys() - {name}:
            assert getattr(found, other) == WHOLE[field][other]
