"""Compression of what the database keeps beside a message."""

import zlib

_SHORT_BYTES = 4096
_TINY_BYTES = 256
"""Of these less than a hundred bytes could be saved."""


def compressed(text: bytes) -> bytes:
    """Return the text in zlib's format, at the fastest level.

    Short ones get a small window and small tables: to allocate the usual 256 KiB takes up to 70 times as long
    as to compress them. Tiny ones are one stored block, which needs no tables. Source: RFC 1951, 3.2.4.
    """
    size = len(text)
    if size > _SHORT_BYTES:
        return zlib.compress(text, 1)
    if size <= _TINY_BYTES:
        lengths = size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
        return b"\x78\x01\x01" + lengths + text + zlib.adler32(text).to_bytes(4, "big")
    compressor = zlib.compressobj(1, zlib.DEFLATED, wbits=12, memLevel=1)
    return compressor.compress(text) + compressor.flush()
