"""Names for rows, drawn for many rows at once, because each read of randomness releases the GIL."""

import os
import time

READ_AT_ONCE = 256
_HEX_DIGITS = 32
_VARIANTS = "89ab"

_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)


def random_hex() -> str:
    """Return 32 random hex digits, unguessable. Can be called from any thread."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            digits = os.urandom(READ_AT_ONCE * _HEX_DIGITS // 2).hex()
            _drawn.extend([digits[at : at + _HEX_DIGITS] for at in range(0, len(digits), _HEX_DIGITS)])


def ordered_hex() -> str:
    """Return 32 hex digits, unguessable: 12 for the time in milliseconds since 1970, then 20 random ones.

    In an index, the names of one moment stand on one page. Random ones would change a page each.
    """
    return f"{time.time_ns() // 1_000_000:012x}{random_hex()[:20]}"


def ordered_uuid() -> str:
    """Return a UUID of version 7, which begins with the time. Source: RFC 9562, 5.7."""
    digits = ordered_hex()
    variant = _VARIANTS[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
