"""Makes texts from other programs safe for a terminal."""

import re
import unicodedata

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Control characters but for tab, line feed and carriage return."""


def printable(text: str) -> str:
    r"""Return the text as one line: control characters and the like become escapes such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def without_controls(text: str) -> str:
    r"""Return text of several lines with its control characters as escapes such as `\x1b`."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def cut(text: str, width: int) -> str:
    """Return the text, cut to `width` columns of a terminal. Some characters take two."""
    if len(text) <= width and text.isascii():
        return text
    used = 0
    for place, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > width:
            return text[:place]
    return text
