"""Threads: the names by which requests without a session find the session to go on in.

The start of a name says how long it goes on and whether its session is listed.
"""

from datetime import UTC, datetime, timedelta

THREAD_LIFE = timedelta(hours=12)
"""A thread goes on in its session if somebody asked there within this time."""

LASTING_PREFIX = "chat:"
"""Begins the threads that a client names itself; they go on however old they are."""

HIDDEN_PREFIX = "agent:"
"""Begins the threads of agents, whose sessions a list leaves out unless all are asked for."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def thread_since(thread: str, now: datetime) -> datetime:
    """The time of the last question behind which a session of this thread has gone out of use."""
    return _BEGINNING if thread.startswith(LASTING_PREFIX) else now - THREAD_LIFE
