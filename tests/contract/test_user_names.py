"""The rule for names of users, in both its forms."""

import re

from gateway.contract.user_names import PATTERN, fault_of

SURROGATES = range(0xD800, 0xE000)
"""No JSON schema can name them, and no valid text has them."""


def test_the_pattern_of_the_description_says_the_same() -> None:
    for number in set(range(0x11000)) - set(SURROGATES) - {ord(" ")}:
        for name in (chr(number), f"a{chr(number)}b"):
            assert (re.fullmatch(PATTERN, name) is not None) == (fault_of(name) is None), hex(number)


def test_spaces_stand_between_words_only() -> None:
    assert [bool(re.fullmatch(PATTERN, name)) for name in ("a b", "a", " a", "a ", " ", "")] == [
        *(True, True),
        *(False, False, False, False),
    ]
