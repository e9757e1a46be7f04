"""The limit on what a client may send besides bodies."""

from gateway.contract.errors import HeadTooLarge

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of a request's first line, headers and trailers together, and of any data received in a row
that is not body, such as one endless line."""

MAX_HEADERS = 512
"""Maximum number of a request's headers: each takes some 150 bytes of memory, however short it is."""

HEADER_FRAMING_BYTES = len(": \r\n")


def head_too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"The request's head is larger than {MAX_HEAD_BYTES} bytes, or has more than {MAX_HEADERS} headers."
    )
