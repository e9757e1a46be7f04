"""The limit of small pieces of a request's body: each costs a call, which takes far longer than sending it.

A read of 256 KiB can be 43,000 chunks of one byte, and the server reads several times before it does anything
else.
"""

from gateway.contract.errors import BadRequest

SMALL_BYTES = 64
MAX_SMALL = 10_000
"""Maximum number of pieces of less than SMALL_BYTES in a body. Encoders that write each JSON token as a chunk
need some thousands."""


def too_many_chunks() -> BadRequest:
    return BadRequest(f"The body has more than {MAX_SMALL} chunks of less than {SMALL_BYTES} bytes.")
