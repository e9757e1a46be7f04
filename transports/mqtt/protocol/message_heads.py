"""Reads type and id of a message that cannot be decoded: of JSON that is cut off, too deep or no UTF-8."""

import re
from typing import Any

import msgspec

SEARCHED_CHARS = 4096
"""Type and id of a message that is no JSON are found only within its first characters."""

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+)')


class Head(msgspec.Struct):
    """The two fields, of whatever type; None if they are absent or cannot be read."""

    type: Any = None
    id: Any = None


def head_of(payload: bytes) -> Head:
    text = payload.decode(errors="replace")
    try:
        return msgspec.json.decode(text, type=Head)
    except (ValueError, RecursionError):
        return _head_of_beginning(text[:SEARCHED_CHARS])


def _head_of_beginning(text: str) -> Head:
    """Return those of the two fields that are strings before the first error in the JSON.

    Fields of inner objects, and strings within strings, do not count.
    """
    found: dict[str, str] = {}
    depth = at = 0
    key = before = ""
    while (token := _TOKEN.match(text, at)) is not None:
        at, said = token.end(), token[1]
        if said in "{[":
            depth += 1
        elif said in "}]":
            depth -= 1
        elif depth == 1 and said.startswith('"'):
            if before == ":" and key in ('"type"', '"id"'):
                found.setdefault(key[1:-1], said)
            key = said
        before = said
    return Head(*(_string(found.get(name)) for name in ("type", "id")))


def _string(said: str | None) -> str | None:
    try:
        text: str | None = None if said is None else msgspec.json.decode(said, type=str)
    except ValueError:
        return None
    return text
