"""A reader that waits for news, for those who had rather not be called back."""

import asyncio
from collections.abc import Sequence

from gateway.contract.events import ReaderEvent
from gateway.contract.journal import JournalReader


class Follower:
    def __init__(self) -> None:
        self._reader: JournalReader | None = None
        self._news = asyncio.Event()
        self._stopped = False

    def begin(self, reader: JournalReader) -> None:
        """Follow from here on. `reader` must have been opened with our `hear`."""
        self._reader = reader

    @property
    def missed(self) -> bool:
        """It could not begin where it was to: what stands there is no longer held."""
        return self._reader is not None and self._reader.begins_at is not None

    def hear(self) -> None:
        """There is something new, or nothing more will come."""
        self._news.set()

    def stop(self) -> None:
        """Let `read` return None, now and later."""
        self._stopped = True
        self._news.set()

    async def read(self) -> Sequence[ReaderEvent] | None:
        """All events that were not read yet, waiting for one if there is none; None when all was read."""
        assert self._reader is not None, "read before begin"  # noqa: S101 - a bug of ours
        while not self._stopped:
            self._news.clear()
            if events := self._reader.take():
                return events
            if self._reader.at_end:
                return None
            await self._news.wait()
        return None
