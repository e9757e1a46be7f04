"""Limits of the events that a client sends in a second."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from gateway.contract.errors import LimitExceeded
from gateway.core.key_ring import Caller

MAX_ROOMS = 50
"""Maximum number of rooms in which one connection is."""

PATIENCE_S = 10
"""A client is disconnected when so many seconds' worth of its events were refused in a row."""


class Flood(LimitExceeded):
    """The client goes on with events that are refused: it must be disconnected."""


class Bucket:
    """Allows `per_s` events a second, and `burst` at once. clock: seconds, monotonic."""

    __slots__ = ("_at", "_burst", "_clock", "_left", "_per_s")

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left, self._at = burst, clock()

    def take(self) -> bool:
        """Count one event. False if it is one too many, which is not counted."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class EventRate:
    """The limits of one member. Joins have a burst of their own, because a client that reconnects joins all
    of its rooms at once."""

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._joins = Bucket(per_s, max(per_s, MAX_ROOMS), clock)
        self._others = Bucket(per_s, per_s, clock)
        self._patience = Bucket(per_s / 2, PATIENCE_S * per_s, clock)

    def spend(self, *, is_join: bool) -> None:
        """Count an event. Raises LimitExceeded if it is refused, Flood if the client must be disconnected."""
        if (self._joins if is_join else self._others).take():
            return
        if not self._patience.take():
            raise Flood("Far too many events: the connection is closed.")
        raise LimitExceeded(f"More than {self._per_s} events in a second.", retry_after_s=1 / self._per_s)


class EventRates:
    """Gives all connections of a user with a key the same limit. In open mode, each connection has its own.

    per_s: ROOM_EVENTS_PER_S.
    """

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._clock = clock
        self._by_user: WeakValueDictionary[str, EventRate] = WeakValueDictionary()

    def of(self, caller: Caller) -> EventRate:
        """Return the limit of the caller, as long as a connection holds it."""
        if caller.allowance is None:
            return EventRate(self._per_s, self._clock)
        rate = self._by_user.get(caller.user_id)
        if rate is None:
            rate = self._by_user[caller.user_id] = EventRate(self._per_s, self._clock)
        return rate
