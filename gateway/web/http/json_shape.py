"""Looks at a JSON body before it is parsed: how many values it has, and how long its numbers are.

Parsing holds the event loop. 1 MiB of empty lists takes 400 ms, and a number of many digits takes the square
of their count, so both have a limit that is checked in a few milliseconds.
"""

import math
import re

from gateway.contract.errors import BadRequest, Unprocessable

MAX_VALUES = 30_000
MAX_BARE_BYTES = 1024 * 1024
"""Of a body, outside of its strings."""
MAX_DIGITS = 400
"""Of one number. A double has at most 309 before its point."""

_PERHAPS_ENDLESS_NUMBER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{309}[0-9.eE+-]*")
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{%d}" % (MAX_DIGITS + 1))


def bare_json(body: bytes) -> bytes:
    """The body without its strings if it is large, else all of it; Unprocessable if it is large even so."""
    if len(body) <= MAX_BARE_BYTES:
        return body
    bare = without_strings(body)
    if len(bare) > MAX_BARE_BYTES:
        raise _too_many(f"must have at most {MAX_BARE_BYTES} bytes outside of its strings")
    return bare


def check_values(body: bytes) -> None:
    """Unprocessable if the body has more than MAX_VALUES values; BadRequest if it cannot be JSON anyway."""
    if _count(body) <= MAX_VALUES or _count(bare := without_strings(body)) <= MAX_VALUES:
        return
    if bare.count(b"[") != bare.count(b"]") or bare.count(b"{") != bare.count(b"}"):
        raise BadRequest("The body is not JSON: a list or an object has no end.")
    raise _too_many(f"must have at most {MAX_VALUES} JSON values")


def check_digits(body: bytes) -> None:
    """BadRequest if the body has a number of more than MAX_DIGITS digits."""
    if _LONG_NUMBER.search(without_strings(body)):
        raise BadRequest(f"The body has a number of more than {MAX_DIGITS} digits.")


def has_endless_number(body: bytes) -> bool:
    """Return whether the JSON has a number of so many digits that no double holds it.

    Parsers tell of those with an exponent themselves, and read the others as integers.
    """
    return any(
        math.isinf(float(number[0])) for number in _PERHAPS_ENDLESS_NUMBER.finditer(without_strings(body))
    )


def _count(body: bytes) -> int:
    """At least as many as there are values: each follows a comma, or is the first in a list or an object."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def without_strings(body: bytes) -> bytes:
    """The JSON without its strings; Unprocessable if it has too many of them."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > 4 * MAX_VALUES:
        raise _too_many(f"must have at most {2 * MAX_VALUES} strings")
    return b"".join(body.split(b'"')[::2])


def _too_many(problem: str) -> Unprocessable:
    return Unprocessable(f"The request does not fit: body {problem}.", {"body": problem})
