"""The end of a tool call's arguments, which arrive in pieces."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.llama import arguments_end
from transports.llama.arguments_end import ArgumentsEnd
from transports.llama.chunks import CallPart, Function
from transports.llama.tool_calls import ToolCalls

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text('a"\\\\{}[] ', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\\\{', max_size=3), inner, max_size=3)
    ),
)


@given(VALUES, st.integers(1, 5))
def test_only_the_last_piece_makes_it_whole(value: object, length: int) -> None:
    text = json.dumps({"x": value})
    end, pieces = ArgumentsEnd(), list[str]()
    for at in range(0, len(text), length):
        assert not end.is_in(pieces)
        pieces.append(text[at : at + length])
    assert end.is_in(pieces)
    assert end.is_in([*pieces, " "])


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("", False),
        ("12", True),
        ("nul", False),
        ("null", True),
        ('"a"', True),
        ('{"a":1}}', False),
        ("{a}", False),
        ("{}{}", False),
        ("]", False),
        ("x{}", False),
        ('"\ud800"', False),
        ("1" * 100, False),
    ],
)
def test_other_texts(text: str, is_whole: bool) -> None:
    assert ArgumentsEnd().is_in([text]) is is_whole
    end = ArgumentsEnd()
    for count in range(len(text)):
        end.is_in(list(text[:count]))
    assert end.is_in(list(text)) is is_whole


def test_a_text_that_is_nested_too_deep_is_not_whole() -> None:
    """Python 3.11 and 3.12 refuse 1,000 levels, Python 3.13 ten times as many."""
    assert not ArgumentsEnd().is_in(["[" * 100_000 + "]" * 100_000])


@pytest.mark.parametrize("repeats_name", [True, False])
def test_fragments_are_not_decoded_again_and_again(
    repeats_name: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM gives every fragment an id of its own, and others repeat the name."""
    decoded: list[int] = []
    monkeypatch.setattr(arguments_end, "_is_json", lambda pieces: decoded.append(len(pieces)))
    calls = ToolCalls()
    for number in range(100):
        id, name = (None, "f") if repeats_name else (f"c{number}", None if number else "f")
        calls.add([CallPart(0, id, Function(name, '{"a":"{}' if number == 0 else "{}"))])
    assert decoded == []
