"""Compression of what the database keeps beside a message."""

import zlib

_SHORT_BYTES = 4096


def compressed(text: bytes) -> bytes:
    """Return the text in zlib's format, at the fastest level.

    Short ones get a small window and small tables: to allocate the usual 256 KiB takes up to 70 times as long
    as to compress them.
    """
    if len(text) > _SHORT_BYTES:
        return zlib.compress(text, 1)
    compressor = zlib.compressobj(1, zlib.DEFLATED, wbits=12, memLevel=1)
    return compressor.compress(text) + compressor.flush()
