"""Names for rows, drawn for many rows at once, because each read of randomness releases the GIL."""

import os
import time
from functools import lru_cache

READ_AT_ONCE = 256
_NAME_BYTES = 16
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)


def random_hex() -> str:
    """Return 32 random hex digits, unguessable. Can be called from any thread."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            _drawn.extend(os.urandom(READ_AT_ONCE * _NAME_BYTES).hex("-", _NAME_BYTES).split("-"))


def ordered_hex() -> str:
    """Return 32 hex digits, unguessable: 12 for the time in milliseconds since 1970, then 20 random ones.

    In an index, the names of one moment stand on one page. Random ones would change a page each.
    """
    return f"{_time_digits(time.time_ns() // 1_000_000)}{random_hex()[:20]}"


def ordered_uuid() -> str:
    """Return a UUID of version 7, which begins with the time. Source: RFC 9562, 5.7."""
    drawn = random_hex()
    begin = _uuid_begin(time.time_ns() // 1_000_000)
    return f"{begin}{drawn[:3]}-{_VARIANTS[drawn[3]]}{drawn[4:7]}-{drawn[7:19]}"


@lru_cache(maxsize=1)
def _time_digits(milliseconds: int) -> str:
    return f"{milliseconds:012x}"


@lru_cache(maxsize=1)
def _uuid_begin(milliseconds: int) -> str:
    digits = _time_digits(milliseconds)
    return f"{digits[:8]}-{digits[8:]}-7"
