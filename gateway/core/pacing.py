"""Pacing: splits a text that arrived in one piece, so that it can be sent as if it were typed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import regex

_GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True, slots=True)
class Pace:
    """Sends `size` characters, or one word, every `delay_s` seconds. 0 sends the whole reply at once."""

    unit: Literal["characters", "word"] = "characters"
    size: int = 10
    delay_s: float = 0.01


def pieces(text: str, pace: Pace) -> Iterator[str]:
    """Yield non-empty pieces which, joined, are exactly the text.

    Grapheme clusters (an emoji with its modifiers, a letter with its accents, CR LF) are never split, so a
    piece may be longer than `size`. A word includes the white space after it.
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
