"""The few ASGI words that endpoints below FastAPI need. Source: ASGI 3.0, HTTP connection scope."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.contract.errors import BadRequest, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: bytes) -> str | None:
    """The request header's first value. name: lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole request body; TooLarge as soon as it is, BadRequest if the client leaves in the middle."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection was closed before the request was whole.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"The request body is larger than {max_bytes} bytes.")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


@asynccontextmanager
async def watching(receive: Receive, when_gone: Callable[[], None]) -> AsyncIterator[None]:
    """Call `when_gone` if the client goes away before the block is left; the request's body must be read."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        when_gone()

    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watch())
        try:
            yield
        finally:
            watcher.cancel()
