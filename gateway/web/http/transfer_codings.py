"""Refuses chunked bodies in further transfer codings, such as `gzip, chunked`. Source: RFC 9112, 6.1.

llhttp would give the body as it is in the chunks. It refuses itself what has no sure end: a last coding
other than `chunked`, and chunks with a Content-Length.
"""

from collections.abc import Iterable

from gateway.contract.errors import NotSupported


def unknown_coding(headers: Iterable[tuple[bytes, bytes]]) -> NotSupported | None:
    """Return the refusal of a request with these headers, whose names are in lower case."""
    told = b", ".join([value for name, value in headers if name == b"transfer-encoding"])
    if b"," in told and told.rpartition(b",")[2].strip(b" \t").lower() == b"chunked":
        return NotSupported(f"Transfer-Encoding may only be `chunked`, not `{told.decode('latin-1')}`.")
    return None
