"""Publishes the events of a session (messages, starts and ends of replies) to its open streams and rooms."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec import Struct

from gateway.contract.content import parts_of, size_of, text_of
from gateway.contract.events import Reason, Status
from gateway.contract.room_events import MessagePosted

MAX_WAITING = 256
MAX_WAITING_CHARS = 1024 * 1024
"""Maximum size of the messages in one queue; a single longer message is allowed."""


class ReplyStarted(Struct, frozen=True):
    stream_id: str
    assistant_message_id: int
    user_message_id: int


class ReplyEnded(Struct, frozen=True):
    stream_id: str
    assistant_message_id: int
    status: Status
    reason: Reason


@dataclass(frozen=True, slots=True)
class BranchChosen:
    """leaf_id: the last message that the session shows; None: its latest message."""

    leaf_id: int | None


@dataclass(frozen=True, slots=True)
class MessageStored:
    """A message that another gateway has stored; the store has its text."""

    message_id: int


News = MessagePosted | MessageStored | ReplyStarted | ReplyEnded | BranchChosen


class Listener:
    """Queue of events for one open session stream. It closes when it exceeds MAX_WAITING or
    MAX_WAITING_CHARS.

    on_news: called after each event and when the queue closes; it must not block or raise.
    """

    def __init__(self, on_news: Callable[[], None]) -> None:
        self._waiting: deque[News] = deque()
        self._waiting_chars = 0
        self._on_news = on_news
        self.closed = False

    def take(self) -> News | None:
        """Remove and return the oldest event; None if the queue is empty."""
        if not self._waiting:
            return None
        news = self._waiting.popleft()
        self._waiting_chars -= _chars(news)
        return news

    def hear(self, news: News) -> None:
        if self.closed:
            return
        self._waiting.append(news)
        self._waiting_chars += _chars(news)
        waiting = len(self._waiting)
        if waiting > MAX_WAITING or (waiting > 1 and self._waiting_chars > MAX_WAITING_CHARS):
            self.close()
        else:
            self._on_news()

    def close(self) -> None:
        """Drop all events: the client must read the session again."""
        self.closed = True
        self._waiting.clear()
        self._on_news()


def _chars(news: News) -> int:
    if not isinstance(news, MessagePosted):
        return 0
    return len(text_of(news.content)) + sum(map(size_of, parts_of(news.content)))


class SessionNews:
    """The listeners of all sessions.

    on_publish: called with each event that this gateway publishes; it must not block or raise.
    on_close: called with each session that this gateway deletes; the same holds.
    on_first_listener: called when a session stream is opened while there is no other; the same holds.
    """

    def __init__(self) -> None:
        self._listeners: dict[int, set[Listener]] = {}
        self.on_publish: Callable[[int, News], None] = lambda session_id, news: None
        self.on_close: Callable[[int], None] = lambda session_id: None
        self.on_first_listener: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        """Number of open session streams."""
        return sum(map(len, self._listeners.values()))

    @contextmanager
    def listening(self, session_id: int, on_news: Callable[[], None]) -> Iterator[Listener]:
        """Receive all events of a session while the block runs. on_news: see Listener."""
        listener = Listener(on_news)
        if not self._listeners:
            self.on_first_listener()
        self._listeners.setdefault(session_id, set()).add(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners[session_id]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[session_id]

    def publish(self, session_id: int, news: News) -> None:
        """Deliver an event of this gateway, here and at the others."""
        self.deliver(session_id, news)
        self.on_publish(session_id, news)

    def deliver(self, session_id: int, news: News) -> None:
        """Deliver an event to the listeners of this gateway."""
        for listener in self._listeners.get(session_id, ()):
            listener.hear(news)

    def close(self, session_id: int) -> None:
        """Close the event streams of a deleted session, here and at the others. Their clients connect again
        and get 404."""
        self.close_here(session_id)
        self.on_close(session_id)

    def close_here(self, session_id: int) -> None:
        """Close the event streams that this gateway has of a deleted session."""
        for listener in self._listeners.get(session_id, ()):
            listener.close()

    def close_all(self) -> None:
        """Close all session streams, because events of other gateways were lost."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.close()
