"""Random names for rows, drawn for many rows at once, because each read of randomness releases the GIL."""

import os

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


def random_uuid() -> str:
    """Return a UUID of version 4. Source: RFC 9562, 5.4."""
    digits = random_hex()
    variant = _VARIANTS[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
