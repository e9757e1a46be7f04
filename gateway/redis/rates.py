"""Requests per minute, counted in Redis for all gateways together."""

from collections import Counter

from gateway.contract.limits import MINUTE_S, LimitsAway, Quota, RateExceeded, Rates, SpentRequest, UserClass
from gateway.redis.link import RedisAway, RedisLink
from gateway.redis.scripts import SPEND


class ExactRates:
    """Implements gateway.contract.limits.Rates.

    without: counts while Redis is away; None refuses requests then.
    """

    def __init__(self, link: RedisLink, without: Rates | None) -> None:
        self._link = link
        self._without = without
        self.refused: Counter[UserClass] = Counter() if without is None else without.refused

    async def spend(self, quota: Quota) -> SpentRequest:
        """Count one request. Raises RateExceeded, or LimitsAway."""
        key = f"{self._link.prefix}requests:{quota.account}"
        try:
            allowed, remaining, micros = await self._link.call(("EVAL", SPEND, 1, key, quota.limit))
        except RedisAway:
            if self._without is None:
                raise LimitsAway from None
            return await self._without.spend(quota)
        if not allowed:
            self.refused[quota.user_class] += 1
            raise RateExceeded(quota.limit, micros / 1e6)
        used_before = quota.limit - remaining - 1
        return SpentRequest(quota.limit, remaining, micros / 1e6 - used_before * MINUTE_S / quota.limit)
