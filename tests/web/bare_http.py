"""One request written byte by byte, for what no HTTP client would send."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class BareAnswer:
    """status: 0 if the connection was closed without an answer. headers: in lower case."""

    status: int
    headers: dict[str, str]
    body: str


async def ask_bare(url: str, request: bytes, *, head_only: bool = False) -> BareAnswer:
    """Send the bytes and read the answer to its end, at which the connection closes, or only its head."""
    address = urlsplit(url)
    incoming, outgoing = await asyncio.open_connection(address.hostname, address.port)
    try:
        outgoing.write(request)
        answer = await (_head(incoming) if head_only else incoming.read())
    finally:
        outgoing.transport.abort()
    if not answer:
        return BareAnswer(0, {}, "")
    head, _, body = answer.decode("utf-8", "replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return BareAnswer(int(first.split()[1]), headers, body)


async def _head(incoming: asyncio.StreamReader) -> bytes:
    try:
        return await incoming.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as cut:
        return cut.partial
