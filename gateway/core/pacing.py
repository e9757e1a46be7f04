"""One whole text as pieces that look typed; put together again they are exactly the text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import regex

_GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a whole reply is shown: `size` characters or one word every `delay_s` seconds; 0: all at once."""

    unit: Literal["characters", "word"] = "characters"
    size: int = 10
    delay_s: float = 0.01


def pieces(text: str, pace: Pace) -> Iterator[str]:
    """The text cut into pieces of the pace's unit, in order, none empty.

    What a person sees as one character (an emoji with its modifiers, a letter with its accents, CR LF) is
    never cut, so a piece may be longer than `size`. A word keeps the white space behind it.
    Source: Unicode Standard Annex 29, extended grapheme clusters.
    """
    return _words(text) if pace.unit == "word" else _runs_of_characters(text, pace.size)


def _runs_of_characters(text: str, size: int) -> Iterator[str]:
    start = 0
    for grapheme in _GRAPHEME.finditer(text):
        if grapheme.end() - start >= size:
            yield text[start : grapheme.end()]
            start = grapheme.end()
    if start < len(text):
        yield text[start:]


def _words(text: str) -> Iterator[str]:
    start = 0
    after_space = False
    for grapheme in _GRAPHEME.finditer(text):
        is_space = grapheme.group().isspace()
        if after_space and not is_space and text[start : grapheme.start()].strip():
            yield text[start : grapheme.start()]
            start = grapheme.start()
        after_space = is_space
    if start < len(text):
        yield text[start:]
