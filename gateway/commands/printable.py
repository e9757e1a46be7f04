"""Makes texts from other programs safe for a terminal."""


def printable(text: str) -> str:
    r"""Return the text as one line: control characters and the like become escapes such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
