"""Simultaneous streams, counted in Redis for all gateways together."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gateway.contract.limits import FreePlaces, LimitsAway, Quota, StreamPlace, UserClass, no_free_place
from gateway.redis.link import Command, RedisAway, RedisLink
from gateway.redis.scripts import PUT, TAKE

KEPT_S = 3600
"""Seconds for which Redis keeps an account after its last change: more than STORE_EVERY_S."""
STORE_EVERY_S = 1200.0
"""Seconds after which all numbers are stored again."""


class ExactPlaces:
    """Implements gateway.contract.limits.Places. Redis has, for each account, the number of streams at each
    gateway; numbers of gateways without a lease do not count.

    Args:
        kind: of the streams, part of the keys.
        closed: True refuses streams while Redis is away; False allows this gateway's share then.
        clock: seconds, monotonic.
    """

    def __init__(
        self, link: RedisLink, kind: str, *, closed: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link = link
        self._kind = kind
        self._closed = closed
        self._clock = clock
        self._taken: Counter[str] = Counter()
        self._changed: set[str] = set()
        self._sent: set[str] = set()
        self._store_at = clock() + STORE_EVERY_S
        self.refused: Counter[UserClass] = Counter()
        link.counters.append(self)

    def free(self, quota: Quota) -> FreePlaces:
        limit = quota.share if self._link.away else quota.limit
        return FreePlaces(limit, max(0, limit - self._taken[quota.account]))

    async def take(self, quota: Quota) -> StreamPlace:
        """Count one more stream. Raises TooManyStreams, or LimitsAway."""
        try:
            allowed = await self._take(quota)
        except RedisAway:
            if self._closed:
                raise LimitsAway from None
            if self._taken[quota.account] < quota.share:
                return self.take_over(quota)
            allowed = False
        if not allowed:
            self.refused[quota.user_class] += 1
            raise no_free_place(self.free(quota).limit)
        return StreamPlace(self._leave, quota.account)

    def take_over(self, quota: Quota) -> StreamPlace:
        self._taken[quota.account] += 1
        self._note(quota.account)
        return StreamPlace(self._leave, quota.account)

    def changed(self, most: int) -> Sequence[Command]:
        if self._clock() >= self._store_at:
            self.forget_stored()
        self._sent = {self._changed.pop() for _ in range(min(most, len(self._changed)))}
        return [
            ("EVAL", PUT, 1, self._key(account), self._link.name, self._taken[account], KEPT_S)
            for account in self._sent
        ]

    def forget_stored(self) -> None:
        self._store_at = self._clock() + STORE_EVERY_S
        self._changed.update(self._taken, self._sent)

    async def _take(self, quota: Quota) -> bool:
        account, is_wanted, is_counted = quota.account, True, False

        def settle(reply: Any) -> None:
            nonlocal is_counted
            if not reply[0]:
                return
            if is_wanted:
                self._taken[account] += 1
                is_counted = True
            else:
                self._note(account)  # Redis has counted a stream that does not begin

        command = (
            "EVAL",
            TAKE,
            2,
            self._key(account),
            self._link.leases,
            self._link.name,
            quota.limit,
            KEPT_S,
        )
        try:
            allowed, _ = await self._link.call(command, settle)
        except RedisAway:
            self._changed.add(account)  # Redis may have counted the stream
            raise
        except asyncio.CancelledError:
            is_wanted = False
            if is_counted:
                self._leave(account)
            self._changed.add(account)
            raise
        return bool(allowed)

    def _leave(self, account: str) -> None:
        self._taken[account] -= 1
        if not self._taken[account]:
            del self._taken[account]
        self._note(account)

    def _note(self, account: str) -> None:
        self._changed.add(account)
        self._link.wake()

    def _key(self, account: str) -> str:
        return f"{self._link.prefix}{self._kind}:{account}"
