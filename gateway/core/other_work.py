"""Work besides replies, such as requests for embeddings, that a stop of the gateway waits for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class OtherWork:
    def __init__(self) -> None:
        self._running: set[asyncio.Event] = set()

    def __bool__(self) -> bool:
        """True while there is such work."""
        return bool(self._running)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the block as such work."""
        ended = asyncio.Event()
        self._running.add(ended)
        try:
            yield
        finally:
            self._running.remove(ended)
            ended.set()

    async def ended(self) -> None:
        """Wait for the end of all present work."""
        for ended in list(self._running):
            await ended.wait()
