"""An owner of replies that answers as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.small_server import serving


@asynccontextmanager
async def answering(answer: bytes, *, stays: bool = False) -> AsyncIterator[str]:
    """A server that sends these bytes and closes, unless it `stays` until its client closes, by its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if stays:
            await reader.read()

    async with serving(serve) as port:
        yield f"http://127.0.0.1:{port}"
