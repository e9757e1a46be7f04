"""Decompresses responses: some servers and proxies compress them although the request does not allow it."""

import re
import zlib
from collections.abc import Awaitable

from gateway.contract.errors import ProtocolViolation
from transports.llama.http_exchange import HttpExchange, Receive

CODINGS = ("gzip", "x-gzip", "deflate")
OTHERS = ("br", "zstd", "compress", "x-compress")
MAX_CODINGS = 4  # one behind the other

MAX_READ_BYTES = 16 * 1024 * 1024


def decompressing(exchange: HttpExchange, receive: Receive) -> Receive:
    """Return what to push a response's body to, so that `receive` gets it decompressed.

    Raises ProtocolViolation for other codings; the returned function does so for a body that cannot be read.
    """
    named = (exchange.header(b"content-encoding") or "").lower().split(",")
    codings = [coding for coding in map(str.strip, named) if coding in CODINGS or coding in OTHERS]
    # Others are `identity`; some servers write `none`, or the name of a character set.
    unknown = next((coding for coding in codings if coding in OTHERS), None)
    if unknown is not None or len(codings) > MAX_CODINGS:
        how = f"as {unknown}" if unknown else f"{len(codings)} times"
        raise ProtocolViolation(f"the model server's answer is compressed {how}, which was not asked for")
    for coding in codings:  # the last one was applied last
        receive = _Decompression(coding, receive).take
    return receive


_BEGINNINGS = re.compile(rb"data|event|error|id|retry|[:{\[<\s]|\xef\xbb\xbf")
"""Of bodies that are not compressed, as by proxies that decompress, but keep the header."""

_LONGEST_BEGINNING = 5
_GZIP = zlib.MAX_WBITS | 16


class _Decompression:
    """Decompresses one coding. `deflate` is zlib's format, but some servers leave its head out."""

    __slots__ = ("_coding", "_first", "_is_plain", "_receive", "_stream", "_window")

    def __init__(self, coding: str, receive: Receive) -> None:
        self._coding = coding
        self._receive = receive
        self._first = b""
        self._is_plain = False
        self._window = 0
        self._stream: zlib._Decompress | None = None

    def take(self, received: bytes) -> Awaitable[None] | None:
        if self._stream is None and not self._is_plain:
            received = self._first = self._first + received
            if len(received) < _LONGEST_BEGINNING:
                return None
            self._begin(received)
        if self._stream is None:
            return self._receive(received)
        try:
            plain = self._decompress(received, self._stream)
        except zlib.error as exc:
            raise ProtocolViolation(f"the model server's answer cannot be decompressed: {exc}") from exc
        return self._receive(plain) if plain else None

    def _begin(self, first: bytes) -> None:
        if first.startswith(b"\x1f\x8b"):
            self._window = _GZIP
        elif first[0] & 15 == zlib.DEFLATED and int.from_bytes(first[:2]) % 31 == 0:
            self._window = zlib.MAX_WBITS
        elif self._coding == "deflate" and not _BEGINNINGS.match(first):
            self._window = -zlib.MAX_WBITS
        else:
            self._is_plain = True
            return
        self._stream = zlib.decompressobj(self._window)

    def _decompress(self, received: bytes, stream: "zlib._Decompress") -> bytes:
        """Return the data in `received`: of several members if it is gzip, without bytes behind the end."""
        plain = bytearray()
        while received:
            if stream.eof:
                received = received.lstrip(b"\0")
                if self._window != _GZIP or not received.startswith(b"\x1f"):
                    break
                stream = self._stream = zlib.decompressobj(_GZIP)
            plain += stream.decompress(received, MAX_READ_BYTES + 1 - len(plain))
            if len(plain) > MAX_READ_BYTES:
                raise ProtocolViolation(
                    f"the model server's answer exceeds {MAX_READ_BYTES} bytes in one read"
                )
            received = stream.unused_data
        return bytes(plain)
