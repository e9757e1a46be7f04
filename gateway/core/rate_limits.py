"""How much one caller may use: requests a minute, and replies in the making."""

from collections import Counter
from dataclasses import dataclass

from throttled.asyncio import MemoryStore, RateLimiterType, Throttled, per_min

from gateway.contract.errors import LimitExceeded, TooManyStreams

MAX_ACCOUNTS = 100_000
"""Whose requests are remembered; who asked longest ago is forgotten first."""

RETRY_STREAM_S = 2.0


@dataclass(frozen=True, slots=True)
class Quota:
    """account: under which name it is counted, such as a user's or a key's."""

    account: str
    limit: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """requests: a minute. streams: replies in the making."""

    requests: Quota
    streams: Quota


class RequestRates:
    """Lets a whole minute's requests through at once, and from then on one as each falls due (GCRA)."""

    def __init__(self) -> None:
        self._spent = MemoryStore(options={"MAX_SIZE": MAX_ACCOUNTS})
        self._rates: dict[int, Throttled] = {}

    async def spend(self, quota: Quota) -> None:
        """One request; LimitExceeded, which says when the next is due, if there is none left."""
        rate = self._rates.get(quota.limit)
        if rate is None:
            rate = self._rates[quota.limit] = Throttled(
                using=RateLimiterType.GCRA.value,
                quota=per_min(quota.limit, burst=quota.limit),
                store=self._spent,
            )
        spent = await rate.limit(quota.account)
        if spent.limited:
            raise LimitExceeded(
                f"More than {quota.limit} requests in a minute.", retry_after_s=spent.state.retry_after
            )


class StreamPlace:
    """One of the places that an account has for its streams, until it is left."""

    def __init__(self, taken: Counter[str], account: str) -> None:
        self._taken = taken
        self._account: str | None = account

    def leave(self) -> None:
        """Give it back; again: nothing."""
        if self._account is None:
            return
        self._taken[self._account] -= 1
        if not self._taken[self._account]:
            del self._taken[self._account]
        self._account = None


class StreamPlaces:
    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, quota: Quota) -> StreamPlace:
        """A place to be left when the stream ends; TooManyStreams if there is none."""
        if self._taken[quota.account] >= quota.limit:
            raise TooManyStreams(
                f"There are {quota.limit} open streams, the maximum: wait for one to end.",
                retry_after_s=RETRY_STREAM_S,
            )
        self._taken[quota.account] += 1
        return StreamPlace(self._taken, quota.account)
