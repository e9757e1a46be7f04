"""Makes texts from other programs safe for a terminal."""

import unicodedata


def printable(text: str) -> str:
    r"""Return the text as one line: control characters and the like become escapes such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


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
