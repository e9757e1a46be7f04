"""The journal of a single process: lists in memory."""

from collections.abc import Sequence

from gateway.contract.errors import NotFound
from gateway.contract.events import Cancelled, Failed, Finished, ReaderEvent
from gateway.contract.journal import OnNews

_TERMINAL = (Finished, Cancelled, Failed)


class MemoryJournal:
    def __init__(self) -> None:
        self._logs: dict[str, MemoryLog] = {}

    def open(self, stream_id: str) -> "MemoryLog":
        log = self._logs[stream_id] = MemoryLog()
        return log

    def follow(self, stream_id: str, on_news: OnNews, after: int = 0) -> "MemoryReader":
        log = self._logs.get(stream_id)
        if log is None:
            raise NotFound("This stream is not known here.")
        return MemoryReader(log, on_news, after)

    def forget(self, stream_id: str) -> None:
        self._logs.pop(stream_id, None)

    def __len__(self) -> int:
        """How many logs are held."""
        return len(self._logs)


class MemoryLog:
    """One reply's events, and whom to tell of the next."""

    __slots__ = ("closed", "events", "listeners")

    def __init__(self) -> None:
        self.events: list[ReaderEvent] = []
        self.listeners: list[OnNews] = []
        self.closed = False

    async def append(self, events: Sequence[ReaderEvent]) -> None:
        self.events.extend(events)
        if isinstance(events[-1], _TERMINAL):
            self.closed = True
        for on_news in tuple(self.listeners):
            on_news()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for on_news in tuple(self.listeners):
                on_news()


class MemoryReader:
    __slots__ = ("_log", "_on_news", "_taken")

    def __init__(self, log: MemoryLog, on_news: OnNews, after: int) -> None:
        self._log = log
        self._on_news = on_news
        self._taken = after
        log.listeners.append(on_news)

    @property
    def closed(self) -> bool:
        return self._log.closed

    def take(self) -> Sequence[ReaderEvent]:
        new = self._log.events[self._taken :]
        self._taken += len(new)
        return new

    def leave(self) -> None:
        self._log.listeners.remove(self._on_news)
