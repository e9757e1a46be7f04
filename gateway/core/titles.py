"""Titles of sessions that were given none."""

from gateway.contract.content import Content, Text, parts_of, text_of

TITLE_CHARS = 60


def title_of(content: Content) -> str:
    """Return a session's title from its first message: the first words, on one line, at most TITLE_CHARS.

    Without text it is the type of the first attachment: `Image`, `Audio` or `File`.
    """
    line = " ".join(text_of(content).split()) or _attachment_name(content)
    if len(line) <= TITLE_CHARS:
        return line
    return line[:TITLE_CHARS].rsplit(" ", 1)[0] + "…"


def _attachment_name(content: Content) -> str:
    return next((type(part).__name__ for part in parts_of(content) if not isinstance(part, Text)), "")
