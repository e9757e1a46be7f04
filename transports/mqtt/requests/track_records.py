"""Records each worker's answers and failures, which decide how many requests it gets."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SHARE = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
MAX_REMEMBERED = 1_000


@dataclass(eq=False, slots=True)
class TrackRecord:
    """One worker's record. Only its answers change it, not its statuses.

    proven: it has answered, and has not failed since.
    share: number of concurrent requests for which it is preferred; each answer adds one. Until it is proven
    it gets no more than that while another worker is proven.
    failures: requests without an answer or with invalid frames, since its last answer.
    aside_until: end of its suspension, in which it gets no requests; None if it is not suspended.
    """

    proven: bool = False
    share: int = FIRST_SHARE
    failures: int = 0
    aside_until: float | None = None

    def answered(self) -> None:
        """The worker completed a reply."""
        self.proven = True
        self.share += 1
        self.failures = 0
        self.aside_until = None

    def failed(self, now: float, jitter: float) -> None:
        """The worker did not answer a request, or sent an invalid frame. Suspend it, each time for longer.

        Its other requests of that time count as the same failure. jitter: 0.5 to 1.
        """
        if self.aside_until is not None:
            return
        self.proven = False
        self.share = FIRST_SHARE
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failures, 10))
        self.aside_until = now + jitter * pause_s
        self.failures += 1


class TrackRecords:
    """The records of all workers by name. They survive restarts of workers and lost brokers, at most
    MAX_REMEMBERED records of absent workers.

    random: returns numbers from 0 to 1.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._gone: OrderedDict[str, TrackRecord] = OrderedDict()

    def jitter(self) -> float:
        return 0.5 + self._random() / 2

    def returns(self, name: str) -> TrackRecord:
        """Return the stored record of a worker that has appeared, or a new one."""
        return self._gone.pop(name, None) or TrackRecord()

    def leaves(self, name: str, record: TrackRecord) -> None:
        """Store the record of a worker that has gone."""
        if record.proven or record.failures:
            self._gone[name] = record
            if len(self._gone) > MAX_REMEMBERED:
                self._gone.popitem(last=False)
