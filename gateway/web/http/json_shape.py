"""Limits on a JSON body, checked before it is parsed: the number of its values and the length of its numbers.

Parsing blocks the event loop: 1 MiB of empty lists takes 400 ms, and the time for a number grows with the
square of its digits. These checks take a few milliseconds.
"""

import math
import re

from gateway.contract.errors import BadRequest
from gateway.contract.misfits import misfit

MAX_VALUES = 30_000
MAX_BARE_BYTES = 1024 * 1024
"""Maximum size of a body without its strings."""
MAX_DIGITS = 400
"""Maximum number of digits of one number. A double has at most 309 before the decimal point."""

_PERHAPS_ENDLESS_NUMBER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{309}[0-9.eE+-]*")
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{%d}" % (MAX_DIGITS + 1))


def bare_json(body: bytes) -> bytes:
    """Return the body, without its strings if it is larger than MAX_BARE_BYTES.

    Raises Unprocessable if it is larger than that even without its strings.
    """
    if len(body) <= MAX_BARE_BYTES:
        return body
    bare = without_strings(body)
    if len(bare) > MAX_BARE_BYTES:
        raise misfit("body", f"must have at most {MAX_BARE_BYTES} bytes outside of its strings")
    return bare


def check_values(body: bytes) -> None:
    """Raise Unprocessable for more than MAX_VALUES values, or BadRequest if the brackets do not match."""
    if _count(body) <= MAX_VALUES or _count(bare := without_strings(body)) <= MAX_VALUES:
        return
    if bare.count(b"[") != bare.count(b"]") or bare.count(b"{") != bare.count(b"}"):
        raise BadRequest("The body is not JSON: a list or an object has no end.")
    raise misfit("body", f"must have at most {MAX_VALUES} JSON values")


def check_digits(body: bytes) -> None:
    """Raise BadRequest if the body has a number of more than MAX_DIGITS digits."""
    if _LONG_NUMBER.search(without_strings(body)):
        raise BadRequest(f"The body has a number of more than {MAX_DIGITS} digits.")


def has_endless_number(body: bytes) -> bool:
    """Return whether the JSON has a number that a double cannot hold.

    Only numbers of at least 309 digits are checked: parsers themselves refuse large exponents.
    """
    return any(
        math.isinf(float(number[0])) for number in _PERHAPS_ENDLESS_NUMBER.finditer(without_strings(body))
    )


def _count(body: bytes) -> int:
    """Return an upper bound of the number of values: each follows a comma or opens a list or an object."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def without_strings(body: bytes) -> bytes:
    """Return the JSON without its strings. Raises Unprocessable for more than 2 * MAX_VALUES strings."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > 4 * MAX_VALUES:
        raise misfit("body", f"must have at most {2 * MAX_VALUES} strings")
    return b"".join(body.split(b'"')[::2])
