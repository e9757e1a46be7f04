"""JSON that strict decoders refuse: halves of surrogate pairs and NaN, as some servers write them."""

import json
from typing import Any


def decode_loosely(data: bytes) -> Any:
    """Raises ValueError for what is no JSON, no UTF-8, or nested too deep.

    Strings may hold lone halves of surrogate pairs: give them to `mended` or WholeCharacters.
    """
    try:
        return json.loads(data.decode().removeprefix("\ufeff"))
    except RecursionError as exc:
        raise ValueError("JSON nested too deep") from exc


def peek(data: bytes) -> Any:
    """The JSON, with what is no UTF-8 as U+FFFD; None if it is no JSON."""
    try:
        return json.loads(data.decode(errors="replace").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def mended(text: str) -> str:
    """The text with halves of a surrogate pair that meet joined, and each lone half as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class WholeCharacters:
    """One text that comes in pieces, each of which may end in the middle of a surrogate pair."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """The piece without half a character at its end, which waits for the next piece; maybe empty."""
        if not self._half and piece.isascii():
            return piece
        text = self._half + piece
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._half = text[-1]
            text = text[:-1]
        return mended(text)

    def rest(self) -> str:
        """U+FFFD for a half whose other half never came, else nothing."""
        rest = mended(self._half)
        self._half = ""
        return rest


def arguments_text(said: object) -> str:
    """A tool call's arguments, or a piece of them, as text: JSON for an object, nothing for null."""
    if said is None or said == {}:
        return ""
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def whole_arguments(text: str) -> str:
    """All of a tool call's arguments; `{}` for a call without any."""
    text = mended(text)
    return text if text.strip() not in ("", "null") else "{}"
