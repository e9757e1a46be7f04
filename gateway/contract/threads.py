"""Threads: names by which requests without a session find the session to continue.

The prefix of a name decides how long its session continues and if that is listed.
"""

from datetime import UTC, datetime, timedelta

THREAD_LIFE = timedelta(hours=12)
"""A thread's session continues if its last question is not older than this; otherwise a new one starts."""

LASTING_PREFIX = "chat:"
"""Prefix of threads that a client names; their sessions continue without a time limit."""

HIDDEN_PREFIX = "agent:"
"""Prefix of threads of agents; lists omit their sessions unless hidden ones are requested."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def thread_since(thread: str, now: datetime) -> datetime:
    """Return the time after which a session's last question must be for the thread to continue in it."""
    return _BEGINNING if thread.startswith(LASTING_PREFIX) else now - THREAD_LIFE
