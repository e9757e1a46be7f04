"""Keeps the measurements of the replies of the last hour by minute, and the latest failures, in memory."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.contract.ended_reply import EndedReply, OnEnded

MINUTES = 60
MINUTE_S = 60
MAX_FAILURES = 50


@dataclass(slots=True)
class Minute:
    """The replies that ended in one minute.

    Attributes:
        at: its begin, in seconds since the epoch.
        replies: all that ended, also failed ones.
        errors: number of failed replies by reason.
        tokens: generated tokens, of replies whose tokens were counted.
        first_s: sum of the times to the first content, of `firsts` replies.
        rate: sum of the tokens per second, of `rates` replies.
    """

    at: int
    replies: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    first_s: float = 0.0
    firsts: int = 0
    rate: float = 0.0
    rates: int = 0

    def add(self, ended: EndedReply) -> None:
        self.replies += 1
        if ended.error_code is not None:
            self.errors[ended.reason] += 1
        if not ended.generated:
            return
        if ended.first_s is not None:
            self.first_s += ended.first_s
            self.firsts += 1
        if ended.usage is None:
            return
        self.tokens += ended.usage.completion_tokens
        if ended.usage.tokens_per_s is not None:
            self.rate += ended.usage.tokens_per_s
            self.rates += 1


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed reply. at: its end, in seconds since the epoch."""

    at: float
    ended: EndedReply


class LastHour:
    """The replies of the last hour.

    Args:
        then: called with each reply, after it was added.
        clock: seconds since the epoch.

    Attributes:
        failures: the latest failed replies, the latest first.
    """

    def __init__(self, then: OnEnded = lambda _: None, clock: Callable[[], float] = time.time) -> None:
        self._then = then
        self._clock = clock
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self.failures: deque[Failure] = deque(maxlen=MAX_FAILURES)

    def add(self, ended: EndedReply) -> None:
        now = self._clock()
        at = int(now) // MINUTE_S * MINUTE_S
        while self._minutes and self._minutes[-1].at > at:  # the clock was set back
            self._minutes.pop()
        if not self._minutes or self._minutes[-1].at < at:
            self._minutes.append(Minute(at))
        self._minutes[-1].add(ended)
        if ended.error_code is not None:
            self.failures.appendleft(Failure(now, ended))
        self._then(ended)

    def minutes(self) -> Sequence[Minute]:
        """Return the minutes of the last hour in which replies ended, the oldest first."""
        first = int(self._clock()) // MINUTE_S * MINUTE_S - (MINUTES - 1) * MINUTE_S
        return [minute for minute in self._minutes if minute.at >= first]
