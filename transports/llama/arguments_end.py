"""Finds out whether a tool call's arguments, which arrive in pieces, are a whole JSON text."""

import re

import msgspec

from transports.lenient.loose_json import UNREADABLE

_BRACKET = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'["\\]')
_LONGEST_BARE = 32
"""Characters of the longest number, `true`, `false` or `null` that counts as whole."""


class ArgumentsEnd:
    """Looks at each piece once: decoding all of the text after every piece would take quadratic time."""

    __slots__ = (
        "_depth",
        "_goes_on",
        "_has_begun",
        "_has_ended",
        "_in_string",
        "_is_escaped",
        "_is_whole",
        "_seen",
    )

    def __init__(self) -> None:
        self._seen = 0
        self._depth = 0
        self._in_string = self._is_escaped = False
        self._has_begun = self._has_ended = self._goes_on = False
        self._is_whole: bool | None = None

    def is_in(self, pieces: list[str]) -> bool:
        """True if the pieces are a whole JSON text. pieces: those of the previous call, and later ones."""
        for piece in pieces[self._seen :]:
            self._look_at(piece)
        self._seen = len(pieces)
        if not self._has_begun:
            return sum(map(len, pieces[:_LONGEST_BARE])) <= _LONGEST_BARE >= len(pieces) and _is_json(pieces)
        if not self._has_ended or self._goes_on:
            return False
        if self._is_whole is None:
            self._is_whole = _is_json(pieces)
        return self._is_whole

    def _look_at(self, piece: str) -> None:
        at = 0
        while at < len(piece):
            if self._has_ended:
                self._goes_on = self._goes_on or bool(piece[at:].strip())
                return
            if self._is_escaped:
                self._is_escaped = False
                at += 1
                continue
            found = (_IN_STRING if self._in_string else _BRACKET).search(piece, at)
            if found is None:
                return
            at = found.end()
            self._take(found[0])

    def _take(self, mark: str) -> None:
        self._has_begun = True
        if mark == "\\":
            self._is_escaped = True
        elif mark == '"':
            self._in_string = not self._in_string
        else:
            self._depth += 1 if mark in "{[" else -1
        self._has_ended = self._depth <= 0 and not self._in_string and not self._is_escaped


def _is_json(pieces: list[str]) -> bool:
    try:
        msgspec.json.decode("".join(pieces))
    except UNREADABLE:
        return False
    return True
