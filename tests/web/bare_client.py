"""One request on a bare socket, and every byte of its answer."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """headers: by lower-case name. body: as it came, chunks and all."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(url: str, head: str, body: bytes = b"") -> Answer:
    """Send a request as it is and read until the server closes the connection."""
    incoming, outgoing = await connect(url)
    try:
        outgoing.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return answer_in(await incoming.read())
    finally:
        outgoing.close()
        await outgoing.wait_closed()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


def answer_in(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(status_line.split(" ")[1]), headers, body)
