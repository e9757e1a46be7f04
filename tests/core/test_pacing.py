"""A whole text is cut so that it looks typed, and put together again it is exactly the text."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.pacing import Pace, pieces

TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("👩‍👧🇳🇴e\u0301 \r\n\t\u2028\u200d")))
PACES = st.one_of(
    st.builds(Pace, st.just("characters"), st.integers(1, 30)), st.builds(Pace, st.just("word"))
)


@given(TEXTS, PACES)
def test_the_pieces_join_to_exactly_the_text(text: str, pace: Pace) -> None:
    assert "".join(pieces(text, pace)) == text


@given(TEXTS, PACES)
def test_no_piece_is_empty(text: str, pace: Pace) -> None:
    assert all(pieces(text, pace))


@given(TEXTS, PACES)
def test_no_grapheme_is_cut(text: str, pace: Pace) -> None:
    graphemes = regex.findall(r"\X", text)
    assert [g for piece in pieces(text, pace) for g in regex.findall(r"\X", piece)] == graphemes


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("abcdefghijkl", 5, ["abcde", "fghij", "kl"]),
        ("ab👩‍👩‍👧‍👦cd", 3, ["ab👩‍👩‍👧‍👦", "cd"]),
        ("🇳🇴🇳🇴", 2, ["🇳🇴", "🇳🇴"]),
        ("", 3, []),
    ],
)
def test_a_piece_has_the_size_or_the_grapheme_that_reaches_it(
    text: str, size: int, expected: list[str]
) -> None:
    assert list(pieces(text, Pace("characters", size))) == expected


def test_a_word_keeps_the_white_space_behind_it() -> None:
    assert list(pieces("  What a \n day", Pace("word"))) == ["  What ", "a \n ", "day"]
