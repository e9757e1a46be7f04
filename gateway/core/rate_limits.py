"""Limits per account: requests per minute, and simultaneous replies."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from throttled.asyncio import MemoryStore, RateLimiterType, Throttled, per_min

from gateway.contract.errors import LimitExceeded, TooManyStreams

MAX_ACCOUNTS = 100_000
"""Maximum number of accounts tracked; the least recently used is evicted."""

RETRY_STREAM_S = 2.0
MINUTE_S = 60

UserClass = Literal["user", "key"]
"""Class of an account: a user with the limits of the settings, or a key with its own limits."""


@dataclass(frozen=True, slots=True)
class Quota:
    """`account` is the name that use is counted under: a user's, or a key's."""

    account: str
    limit: int
    user_class: UserClass = "user"


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


@dataclass(frozen=True, slots=True)
class SpentRequest:
    """The state of a quota after a request was counted, or refused.

    Attributes:
        limit: requests per minute.
        remaining: requests that are allowed at once.
        next_s: seconds until one more is allowed.
    """

    limit: int
    remaining: int
    next_s: float


class RequestRates:
    """Limits requests per minute by GCRA: a burst of a whole minute's requests is allowed.

    refused: number of refused requests.
    """

    def __init__(self) -> None:
        self._spent = MemoryStore(options={"MAX_SIZE": MAX_ACCOUNTS})
        self._rates: dict[int, Throttled] = {}
        self.refused: Counter[UserClass] = Counter()

    async def spend(self, quota: Quota) -> SpentRequest:
        """Count one request. At the limit, raises LimitExceeded with the time until the next is allowed."""
        rate = self._rates.get(quota.limit)
        if rate is None:
            rate = self._rates[quota.limit] = Throttled(
                using=RateLimiterType.GCRA.value,
                quota=per_min(quota.limit, burst=quota.limit),
                store=self._spent,
            )
        spent = await rate.limit(quota.account)
        if spent.limited:
            self.refused[quota.user_class] += 1
            raise LimitExceeded(
                f"More than {quota.limit} requests in a minute.", retry_after_s=spent.state.retry_after
            )
        state = spent.state
        used_before = quota.limit - state.remaining - 1
        return SpentRequest(
            quota.limit, state.remaining, state.reset_after - used_before * MINUTE_S / quota.limit
        )


class StreamPlace:
    """One stream counted against an account's limit, until `leave` or the end of its `with` block."""

    def __init__(self, taken: Counter[str], account: str) -> None:
        self._taken = taken
        self._account: str | None = account

    def __enter__(self) -> "StreamPlace":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Stop counting the stream. Later calls do nothing."""
        if self._account is None:
            return
        self._taken[self._account] -= 1
        if not self._taken[self._account]:
            del self._taken[self._account]
        self._account = None


class StreamPlaces:
    """Limits simultaneous streams. refused: number of refused streams."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self.refused: Counter[UserClass] = Counter()

    def free(self, quota: Quota) -> int:
        """Return the number of streams that may begin now."""
        return max(0, quota.limit - self._taken[quota.account])

    def take(self, quota: Quota) -> StreamPlace:
        """Count one more stream; call `leave` on the result when it ends. At the limit, raises
        TooManyStreams."""
        if self._taken[quota.account] >= quota.limit:
            self.refused[quota.user_class] += 1
            raise TooManyStreams(
                f"There are {quota.limit} open streams, the maximum: wait for one to end.",
                retry_after_s=RETRY_STREAM_S,
            )
        self._taken[quota.account] += 1
        return StreamPlace(self._taken, quota.account)
