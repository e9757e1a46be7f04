"""A journal reader with an asynchronous `read`, in place of callbacks."""

import asyncio
from collections.abc import Sequence

from gateway.contract.events import ReaderEvent
from gateway.contract.journal import JournalReader, Position


class Follower:
    def __init__(self) -> None:
        self._reader: JournalReader | None = None
        self._news = asyncio.Event()
        self._stopped = False

    def begin(self, reader: JournalReader) -> None:
        """Read from `reader`, which must have been opened with this follower's `hear`."""
        self._reader = reader

    @property
    def begins_at(self) -> Position | None:
        """See JournalReader."""
        return None if self._reader is None else self._reader.begins_at

    @property
    def missed(self) -> bool:
        """True if events at the requested position were dropped, so that reading began after them."""
        return self.begins_at is not None

    def hear(self) -> None:
        """Wake `read`: the journal has new events or was closed."""
        self._news.set()

    def stop(self) -> None:
        """Make the current and every later `read` return None."""
        self._stopped = True
        self._news.set()

    async def read(self) -> Sequence[ReaderEvent] | None:
        """Return all unread events, waiting for at least one; None after the last one was read."""
        assert self._reader is not None, "read before begin"  # noqa: S101 - a bug of the caller
        while not self._stopped:
            self._news.clear()
            if events := self._reader.take():
                return events
            if self._reader.at_end:
                return None
            await self._news.wait()
        return None
