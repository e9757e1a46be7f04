"""The journal of a single process: lists in memory."""

import asyncio
from collections.abc import Sequence

from gateway.contract.errors import NotFound
from gateway.contract.events import Cancelled, Failed, Finished, ReaderEvent

_TERMINAL = (Finished, Cancelled, Failed)


class MemoryJournal:
    def __init__(self) -> None:
        self._logs: dict[str, MemoryLog] = {}

    def open(self, stream_id: str) -> "MemoryLog":
        log = self._logs[stream_id] = MemoryLog()
        return log

    def follow(self, stream_id: str, after: int = 0) -> "MemoryReader":
        log = self._logs.get(stream_id)
        if log is None:
            raise NotFound("This stream is not known here.")
        return MemoryReader(log, after)

    def forget(self, stream_id: str) -> None:
        self._logs.pop(stream_id, None)

    def __len__(self) -> int:
        """How many logs are held."""
        return len(self._logs)


class MemoryLog:
    """One reply's events, and the readers that wait for the next."""

    __slots__ = ("closed", "events", "waiting")

    def __init__(self) -> None:
        self.events: list[ReaderEvent] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.closed = False

    async def append(self, events: Sequence[ReaderEvent]) -> None:
        self.events.extend(events)
        if isinstance(events[-1], _TERMINAL):
            self.closed = True
        self._tell()

    def close(self) -> None:
        self.closed = True
        self._tell()

    def _tell(self) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()


class MemoryReader:
    __slots__ = ("_future", "_log", "_read")

    def __init__(self, log: MemoryLog, after: int) -> None:
        self._log = log
        self._read = after
        self._future: asyncio.Future[None] | None = None

    async def read(self) -> Sequence[ReaderEvent] | None:
        log = self._log
        if len(log.events) <= self._read:
            if log.closed:
                return None
            # A future in a list: an asyncio.Event would serve every reader, and cost twice as much.
            self._future = asyncio.get_running_loop().create_future()
            log.waiting.append(self._future)
            await self._future
            self._future = None
        new = log.events[self._read :]
        self._read += len(new)
        return new

    def wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
