"""How far each worker is trusted with requests, by what came of those that it was given."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SHARE = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
MAX_REMEMBERED = 1_000


@dataclass(eq=False, slots=True)
class Standing:
    """One worker's record. No status changes it: only answers do.

    proven: it has answered, and has not failed since. share: how many requests it is preferred for; each
    answer adds one. Before it is proven it gets no more than that beside a proven worker. failures: requests
    that it let lie or answered with rubbish, since its last answer. aside_until: it gets no request before
    then; None when it is not set aside.
    """

    proven: bool = False
    share: int = FIRST_SHARE
    failures: int = 0
    aside_until: float | None = None

    def answered(self) -> None:
        """It gave a whole reply."""
        self.proven = True
        self.share += 1
        self.failures = 0
        self.aside_until = None

    def failed(self, now: float, jitter: float) -> None:
        """It let a request lie, or answered with rubbish: it gets none for a while, each time for longer.

        What else it had at that time counts as the same failure. jitter: 0.5 to 1.
        """
        if self.aside_until is not None:
            return
        self.proven = False
        self.share = FIRST_SHARE
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failures, 10))
        self.aside_until = now + jitter * pause_s
        self.failures += 1


class Standings:
    """The records of all workers by name. They outlive restarts and lost brokers, at most MAX_REMEMBERED of
    workers that are not there.

    random: numbers from 0 to 1.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._gone: OrderedDict[str, Standing] = OrderedDict()

    def jitter(self) -> float:
        return 0.5 + self._random() / 2

    def returns(self, name: str) -> Standing:
        """The record of a worker that has come, a new one if nothing is remembered of it."""
        return self._gone.pop(name, None) or Standing()

    def leaves(self, name: str, standing: Standing) -> None:
        """Remember the record of a worker that has gone."""
        if standing.proven or standing.failures:
            self._gone[name] = standing
            if len(self._gone) > MAX_REMEMBERED:
                self._gone.popitem(last=False)
