"""Limits of the events that a client sends, and of the missed messages that it is given."""

import math
from collections.abc import Callable
from typing import NoReturn

from gateway.contract.errors import LimitExceeded
from gateway.core.key_ring import Caller

MAX_ROOMS = 50
"""Maximum number of rooms in which one connection is."""

MISSED_PER_S, MISSED_AT_ONCE = 500, 20_000
"""Cost of the missed messages that a client may be given in a second, and at once; see missed_messages.

A client may join ten rooms at once with as many messages as a join can give. In the long run, missed messages
of one client take 2 to 3 % of a CPU."""

MAX_USERS = 10_000
"""Maximum number of users whose limits are kept; the least recently connected is evicted."""

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
        self._fill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def charge(self, events: int) -> None:
        """Count events that have happened, also if they are too many."""
        self._fill()
        self._left -= events

    def debt_s(self) -> float:
        """Return the seconds until the events that were too many are made up for."""
        self._fill()
        return max(0, -self._left / self._per_s)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now


class EventRate:
    """The limits of one member. Joins have a burst of their own, because a client that reconnects joins all
    of its rooms at once."""

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._joins = Bucket(per_s, max(per_s, MAX_ROOMS), clock)
        self._others = Bucket(per_s, per_s, clock)
        self._missed = Bucket(MISSED_PER_S, MISSED_AT_ONCE, clock)
        self._patience = Bucket(per_s / 2, PATIENCE_S * per_s, clock)

    def spend(self, *, is_join: bool) -> None:
        """Count an event. Raises LimitExceeded if it is refused, Flood if the client must be disconnected."""
        if not (self._joins if is_join else self._others).take():
            self._refuse(f"More than {self._per_s} events in a second.", 1 / self._per_s)

    def charge_missed(self, cost: int) -> None:
        """Count missed messages that were read for a join. cost: see missed_messages."""
        self._missed.charge(cost)

    def check_missed(self) -> None:
        """Raises LimitExceeded, or Flood, if too many missed messages were read for the joins before."""
        debt_s = self._missed.debt_s()
        if debt_s > 0:
            wait_s = math.ceil(debt_s)
            self._refuse(f"Too many missed messages were read: join again in {wait_s} s.", wait_s)

    def _refuse(self, why: str, retry_after_s: float) -> NoReturn:
        if not self._patience.take():
            raise Flood("Far too many events: the connection is closed.")
        raise LimitExceeded(why, retry_after_s=retry_after_s)


class EventRates:
    """Gives all connections of a user with a key the same limit. In open mode, each connection has its own.

    per_s: ROOM_EVENTS_PER_S.
    """

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._clock = clock
        self._by_user: dict[str, EventRate] = {}
        """The user that connected last is the last one."""

    def __len__(self) -> int:
        return len(self._by_user)

    def of(self, caller: Caller) -> EventRate:
        """Return the limit of a caller that connects. It outlives the connection, so that a user does not get
        a new one by connecting again."""
        if caller.allowance is None:
            return EventRate(self._per_s, self._clock)
        rate = self._by_user.pop(caller.user_id, None) or EventRate(self._per_s, self._clock)
        self._by_user[caller.user_id] = rate
        if len(self._by_user) > MAX_USERS:
            del self._by_user[next(iter(self._by_user))]
        return rate
