"""Limits per account, of requests per minute and of simultaneous streams, and what counts them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.contract.errors import LimitExceeded, TooManyStreams, Unavailable

MINUTE_S = 60
RETRY_STREAM_S = 2.0

UserClass = Literal["user", "key"]
"""Class of an account: a user with the limits of the settings, or a key with its own limits."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of one account.

    Attributes:
        account: the name that use is counted under: a user's, or a key's.
        limit: for all gateways on the database together.
        gateways: number of those that live.
    """

    account: str
    limit: int
    user_class: UserClass = "user"
    gateways: int = 1

    @property
    def share(self) -> int:
        """The part of the limit that each gateway allows if each counts alone, rounded up."""
        return -(-self.limit // self.gateways)


class LimitsAway(Unavailable):
    """The limits cannot be checked, because Redis is away, and LIMITS_WITHOUT_REDIS is closed."""

    def __init__(self) -> None:
        text = "The limits cannot be checked: Redis is away. Try again in a moment."
        super().__init__(text, retry_after_s=RETRY_STREAM_S)


class RateExceeded(LimitExceeded):
    """limit: requests per minute."""

    def __init__(self, limit: int, retry_after_s: float) -> None:
        super().__init__(f"More than {limit} requests in a minute.", retry_after_s=retry_after_s)
        self.limit = limit


def no_free_place(limit: int) -> TooManyStreams:
    """Return the error of an account that has this many streams."""
    return TooManyStreams(
        f"There are {limit} open streams, the maximum: wait for one to end.", retry_after_s=RETRY_STREAM_S
    )


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


@dataclass(frozen=True, slots=True)
class FreePlaces:
    """limit: simultaneous streams. free: those that this gateway knows to be left."""

    limit: int
    free: int


class StreamPlace:
    """One stream counted against an account's limit, until `leave` or the end of its `with` block."""

    def __init__(self, on_leave: Callable[[str], None], account: str) -> None:
        self._on_leave = on_leave
        self._account: str | None = account

    def __enter__(self) -> "StreamPlace":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Stop counting the stream. Later calls do nothing."""
        if self._account is not None:
            account, self._account = self._account, None
            self._on_leave(account)


class Rates(Protocol):
    """Limits requests per minute by GCRA: a burst of a whole minute's requests is allowed.

    refused: number of refused requests.
    """

    refused: Counter[UserClass]

    async def spend(self, quota: Quota) -> SpentRequest:
        """Count one request. At the limit, raises RateExceeded with the time until the next is allowed."""
        ...


class Places(Protocol):
    """Limits simultaneous streams. refused: number of refused streams."""

    refused: Counter[UserClass]

    def free(self, quota: Quota) -> FreePlaces: ...

    async def take(self, quota: Quota) -> StreamPlace:
        """Count one more stream; call `leave` on the result when it ends. At the limit, raises
        TooManyStreams."""
        ...

    def take_over(self, quota: Quota) -> StreamPlace:
        """Count a stream that another gateway began, also beyond the limit."""
        ...
