"""Decompresses responses: some servers and proxies compress them although the request does not allow it."""

import zlib
from collections.abc import Awaitable

from gateway.contract.errors import ProtocolViolation
from transports.llama.http_exchange import HttpExchange, Receive

CODINGS = ("gzip", "x-gzip", "deflate")
OTHERS = ("br", "zstd", "compress", "x-compress")
FIRST_BYTES = (b"\x1f", b"\x78")
"""Of gzip and of zlib. No event and no JSON begins with them."""

MAX_READ_BYTES = 16 * 1024 * 1024


def decompressing(exchange: HttpExchange, receive: Receive) -> Receive:
    """Return what to push a response's body to, so that `receive` gets it decompressed.

    Raises ProtocolViolation for other codings; the returned function does so for a body that cannot be read.
    """
    coding = (exchange.header(b"content-encoding") or "").strip().lower()
    if coding in OTHERS:
        raise ProtocolViolation(
            f"the model server's answer is compressed as {coding}, which was not asked for"
        )
    if coding not in CODINGS:  # `identity`; some servers write `none`, or the name of a character set
        return receive
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as the first bytes say

    is_plain: bool | None = None  # as by proxies that decompress, but keep the header

    def decompress(received: bytes) -> Awaitable[None] | None:
        nonlocal is_plain
        if is_plain is None:
            is_plain = received[:1] not in FIRST_BYTES
        if is_plain:
            return receive(received)
        try:
            plain = stream.decompress(received, MAX_READ_BYTES)
        except zlib.error as exc:
            raise ProtocolViolation(f"the model server's answer cannot be decompressed: {exc}") from exc
        if stream.unconsumed_tail:
            raise ProtocolViolation(f"the model server's answer exceeds {MAX_READ_BYTES} bytes in one read")
        return receive(plain) if plain else None

    return decompress
