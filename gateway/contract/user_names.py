"""The rule for names of users that a client chooses: all members see them."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIRECTION = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""They turn the direction of the text around a name, which then looks like another."""

_REFUSED = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
PATTERN = rf"^[^ {_REFUSED}]([^{_REFUSED}]*[^ {_REFUSED}])?$"
"""The same rule for JSON schemas, with no spaces around the name."""


def fault_of(name: str) -> str | None:
    """Return what is wrong with a name, as the end of a sentence that begins with its field; None if nothing
    is."""
    if _CONTROL.search(name):
        return "must not contain control characters or line breaks"
    if _DIRECTION.search(name):
        return "must not contain characters that change the direction of text"
    return None
