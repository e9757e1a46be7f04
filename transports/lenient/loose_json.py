"""Decodes JSON that strict decoders refuse: with halves of surrogate pairs and NaN, as some servers send."""

import json
import re
from typing import Any

MAX_DEPTH = 100
"""Levels of lists and objects: deeper JSON is refused, so that readers may walk through it by recursion."""

UNREADABLE = (ValueError, RecursionError)
"""Errors of msgspec for JSON that cannot be used: its own, those of UTF-8, and that of JSON nested too deep,
also in fields that it skips."""


def decode_loosely(data: bytes, errors: str = "strict") -> Any:
    """Return the decoded JSON. Raises ValueError if it is not JSON or UTF-8, or nested too deep.

    A byte order mark before it, and NULs behind it, as programs in C send them, are ignored. Strings may
    contain control characters, and lone halves of surrogate pairs: pass them to `mended` or WholeCharacters.

    Args:
        data: the JSON.
        errors: "surrogateescape" takes bytes that are not UTF-8 too, for `mended` and WholeCharacters.
    """
    try:
        said = json.loads(data.decode(errors=errors).removeprefix("\ufeff").rstrip("\0"), strict=False)
    except RecursionError as exc:
        raise ValueError("JSON nested too deep") from exc
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(said):
        raise ValueError("JSON nested too deep")
    return said


def peek(data: bytes) -> Any:
    """Return the decoded JSON, with invalid UTF-8 as U+FFFD; None if it is not JSON, or nested too deep."""
    try:
        return decode_loosely(data.decode(errors="replace").encode())
    except ValueError:
        return None


def _is_deep(said: Any) -> bool:
    level = [said]
    for _ in range(MAX_DEPTH + 1):
        outer = [
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        ]
        level = [inner for inners in outer for inner in inners]
        if not outer:
            return False
    return True


def mended(text: str) -> str:
    """Return the text with adjacent halves of surrogate pairs, and adjacent bytes of a character, joined.

    Each lone half and each wrong byte becomes U+FFFD. Bytes are those of "surrogateescape".
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return (
            _BYTES.sub(_decoded, _paired(text))
            .encode("utf-16-le", "surrogatepass")
            .decode("utf-16-le", "replace")
        )
    return text


def _paired(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _decoded(run: re.Match[str]) -> str:
    return run[0].encode(errors="surrogateescape").decode(errors="replace")


_BYTES = re.compile(r"[\udc80-\udcff]+")
_UNFINISHED = re.compile(
    r"[\ud800-\udbff]\Z"
    r"|(?:[\udcc2-\udcf4]|[\udce0-\udcf4][\udc80-\udcbf]|[\udcf0-\udcf4][\udc80-\udcbf]{2})\Z"
)
"""The first half of a surrogate pair, or all but the last bytes of a character."""


class WholeCharacters:
    """One text that arrives in pieces, each of which may end in the middle of a character; see `mended`."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """Return the piece, maybe empty. Half a character at its end is held for the next piece."""
        if not self._half and piece.isascii():
            return piece
        text = _paired(self._half + piece)
        half = _UNFINISHED.search(text, max(0, len(text) - 3))
        self._half = "" if half is None else half[0]
        return mended(text.removesuffix(self._half))

    def rest(self) -> str:
        """Return U+FFFD if half a character is still held, else an empty string."""
        rest = mended(self._half)
        self._half = ""
        return rest


def arguments_text(said: object) -> str:
    """Return a tool call's arguments, or a piece of them, as text: JSON for an object, empty for null."""
    if said is None or said == {}:
        return ""
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def whole_arguments(text: str) -> str:
    """Return a tool call's complete arguments; `{}` for a call without any."""
    text = mended(text)
    return text if text.strip() not in ("", "null") else "{}"
