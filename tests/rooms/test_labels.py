"""Names of users in open mode."""

import pytest

from gateway.contract.errors import Unprocessable
from gateway.rooms.client_events import MAX_LABEL_CHARS, checked_label


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (" Anna ", "Anna"),
        (7, "7"),
        ("Anna 👩‍👩‍👧 é", "Anna 👩‍👩‍👧 é"),
        ("آنا", "آنا"),
        ("x" * MAX_LABEL_CHARS, "x" * MAX_LABEL_CHARS),
        ("👩" * MAX_LABEL_CHARS, "👩" * MAX_LABEL_CHARS),
    ],
)
def test_a_name_is_shown_without_spaces_around_it(label: str | int | None, shown: str | None) -> None:
    assert checked_label(label) == shown


@pytest.mark.parametrize("label", ["x" * (MAX_LABEL_CHARS + 1), 10**MAX_LABEL_CHARS, -(10**5_000)], ids=type)
def test_a_name_that_is_too_long_for_the_model_is_refused(label: str | int) -> None:
    with pytest.raises(Unprocessable, match="userId: must have at most 64 characters"):
        checked_label(label)


@pytest.mark.parametrize("label", ["anna\nben", "\x00", "anna\u2028", "\x85"], ids=ascii)
def test_a_name_with_control_characters_is_refused(label: str) -> None:
    with pytest.raises(Unprocessable, match="control characters or line breaks"):
        checked_label(label)


@pytest.mark.parametrize("label", ["anna\u202e", "\u2066ben", "\u200e", "\u061c"], ids=ascii)
def test_a_name_that_turns_the_text_around_it_is_refused(label: str) -> None:
    with pytest.raises(Unprocessable, match="direction of text"):
        checked_label(label)
