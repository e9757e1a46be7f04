"""Requests per minute, counted in the memory of this gateway, and the limits of a caller."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from throttled.asyncio import MemoryStore, RateLimiterType, Throttled, per_min

from gateway.contract.limits import MINUTE_S, Quota, RateExceeded, SpentRequest, UserClass

MAX_ACCOUNTS = 100_000
"""Maximum number of accounts tracked; the least recently used is evicted."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits of a caller.

    Attributes:
        requests: per minute.
        streams: simultaneous replies.
        key_id: the API key that pays for the tokens; None without one.
        tokens_per_day: of this key; None for no limit.
    """

    requests: Quota
    streams: Quota
    key_id: int | None = None
    tokens_per_day: int | None = None


AllowanceOf = Callable[..., Allowance | None]
"""Returns the limits of a user, or of a key of the user, if its id is given; None for no limits."""


class RequestRates:
    """Implements gateway.contract.limits.Rates: allows this gateway's share of each limit."""

    def __init__(self) -> None:
        self._spent = MemoryStore(options={"MAX_SIZE": MAX_ACCOUNTS})
        self._rates: dict[int, Throttled] = {}
        self.refused: Counter[UserClass] = Counter()

    async def spend(self, quota: Quota) -> SpentRequest:
        limit = quota.share
        rate = self._rates.get(limit)
        if rate is None:
            rate = self._rates[limit] = Throttled(
                using=RateLimiterType.GCRA.value, quota=per_min(limit, burst=limit), store=self._spent
            )
        spent = await rate.limit(quota.account)
        if spent.limited:
            self.refused[quota.user_class] += 1
            raise RateExceeded(limit, spent.state.retry_after)
        state = spent.state
        used_before = limit - state.remaining - 1
        return SpentRequest(limit, state.remaining, state.reset_after - used_before * MINUTE_S / limit)
