"""Circuit breakers: a transport that fails repeatedly is suspended, then tested with one request."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Literal

from gateway.contract.errors import Loading, NoWorker, Overloaded, TransportError, Unavailable

log = logging.getLogger("sluice.breaker")

State = Literal["closed", "open", "half-open"]

NOT_NOW = (NoWorker, Overloaded, Loading)
"""Errors that a breaker does not count: the transport reports them at once, and they pass by themselves."""

PROBE_RETRY_S = 1.0


class Breaker:
    """Admits every request while closed, none while open, and one test request while half-open.

    The result of the test request closes or opens it again.

    Args:
        name: the transport's name.
        failures: number of consecutive failures that opens it.
        open_s: seconds that it stays open.
        clock: seconds, monotonic.
    """

    def __init__(self, name: str, *, failures: int, open_s: float, clock: Callable[[], float]) -> None:
        self._name = name
        self._max_failures = failures
        self._open_s = open_s
        self._clock = clock
        self._state: State = "closed"
        self._failures = 0
        self._last_failure = ""
        self._open_until = 0.0
        self._probe: Trial | None = None

    @property
    def state(self) -> State:
        ripe = self._state == "open" and self._clock() >= self._open_until
        return "half-open" if ripe else self._state

    def check(self) -> None:
        """Raise Unavailable if no request would be admitted now."""
        state = self.state
        if state == "open":
            retry_after_s = self._open_until - self._clock()
        elif state == "half-open" and self._probe is not None:
            retry_after_s = PROBE_RETRY_S
        else:
            return
        raise Unavailable(
            f"{self._name} is suspended after {self._failures} failures in a row: {self._last_failure}",
            retry_after_s=retry_after_s,
        )

    def trial(self) -> "Trial":
        """Return the context manager for one request."""
        return Trial(self)

    def blame(self, error: TransportError) -> None:
        """Count a failure that the request's Trial did not count: see Trial."""
        if self.state != "open":
            self._count(error)

    def _begin(self, trial: "Trial") -> None:
        self.check()
        if self._state == "open":
            self._state = "half-open"
            log.info("%s is tested with one request", self._name)
        if self._state == "half-open":
            self._probe = trial

    def _end(self, trial: "Trial", failure: TransportError | None) -> None:
        """Count the result of one request, unless it began before the breaker opened."""
        if trial is self._probe:
            self._probe = None
        elif self._state != "closed":
            return
        if failure is None:
            if self._state == "half-open":
                log.info("%s answers again", self._name)
            self._state = "closed"
            self._failures = 0
            return
        self._count(failure)

    def _count(self, failure: TransportError) -> None:
        self._failures += 1
        self._last_failure = str(failure)
        if self._state != "closed" or self._failures >= self._max_failures:
            self._state = "open"
            self._open_until = self._clock() + self._open_s
            log.warning(
                "%s failed %d times in a row and is suspended for %g s: %s",
                self._name,
                self._failures,
                self._open_s,
                failure,
            )

    def _leave(self, trial: "Trial") -> None:
        if trial is self._probe:
            self._probe = None


class Trial:
    """Reports the result of one request to its breaker, up to the reply's first event with content.

    Entering raises Unavailable if the breaker admits no request. A TransportError that leaves the block
    before `answered` is a failure. A stop, RequestRejected and NOT_NOW are not counted. Neither is a
    disconnection after the request was received: the request may be the cause, and one request must not open
    every breaker. `Breaker.blame` counts it later if another transport answers the request.
    """

    __slots__ = ("_breaker", "_judged")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._judged = False

    def __enter__(self) -> Callable[[], None]:
        self._breaker._begin(self)
        return self.answered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.answered()
        elif not self._judged and isinstance(error, TransportError) and _is_fault(error):
            self._breaker._end(self, error)
        else:
            self._breaker._leave(self)

    def answered(self) -> None:
        """Count a success: the reply's first content has arrived. Later errors of this reply do not count."""
        if not self._judged:
            self._judged = True
            self._breaker._end(self, None)


def _is_fault(error: TransportError) -> bool:
    return not isinstance(error, NOT_NOW) and not error.broke_off
