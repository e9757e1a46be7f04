"""The interface of signals: short messages to the other gateways on the same database.

A signal may be lost, so it only tells earlier what the database says too: a receiver reads the rows again, or
the sender repeats it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

SETTINGS = "settings"
"""Topic: a KeptSetting was changed. Without a body."""
KEYS = "keys"
"""Topic: API keys were created, changed or revoked. Without a body."""
MEMBERS = "members"
"""Topic: members of rooms were added or removed. Without a body."""

MAX_SIGNAL_BYTES = 7_900
"""Maximum size of a signal as JSON: PostgreSQL refuses payloads of 8,000 bytes. Larger data is in the
database, and the signal refers to it."""

Body = Mapping[str, Any]
Hear = Callable[[Body], None]
"""Called with the body of a signal. It must not block or raise."""


class Signals(Protocol):
    def running(self) -> AbstractAsyncContextManager[None]:
        """Send and receive during the block."""
        ...

    def on(self, topic: str, hear: Hear) -> None:
        """Call `hear` with each signal of this topic that another gateway sends, and with each KEYS,
        SETTINGS and MEMBERS, which the store sends for every change."""
        ...

    def on_missed(self, call: Callable[[], None]) -> None:
        """Call `call` when signals may have been lost, once they are received again."""
        ...

    def send(self, topic: str, body: Body) -> None:
        """Send a signal to all other gateways, without waiting. Raises ValueError if it is larger than
        MAX_SIGNAL_BYTES and there are others."""
        ...
