"""Keeps runs that ended a short time ago, for readers that return."""

from gateway.contract.journal import Journal
from gateway.core.run import GOES_ON_ELSEWHERE, Run, cannot_be_left

MAX_ENDED = 4096
"""Maximum number of ended runs kept in memory; older ones are replayed from the store."""


class EndedRuns:
    """The ended runs and their journals.

    ttl_s: seconds that a resumable reply's journal is kept after its end.
    """

    def __init__(self, journal: Journal, ttl_s: float) -> None:
        self._journal = journal
        self._ttl_s = ttl_s
        self._runs: dict[str, Run] = {}

    def __contains__(self, stream_id: str) -> bool:
        return stream_id in self._runs

    def get(self, stream_id: str) -> Run | None:
        return self._runs.get(stream_id)

    def remember(self, run: Run) -> None:
        """Keep an ended resumable run for returning readers, and its journal for ttl_s seconds.

        Other runs can be followed until the last of their readers has left.
        """
        # Release the reply's task and, below, the writer: only the Journal decides how long the log is kept.
        run.leave = cannot_be_left
        run.event_lengths = None
        run.task = run.production = None
        held = self._is_held(run)
        if not held and run.readers == 0:
            self._journal.forget(run.stream_id)
            return
        del run.journal
        self._runs[run.stream_id] = run
        if len(self._runs) > MAX_ENDED:
            oldest = self._runs.pop(next(iter(self._runs)))
            if not self._is_held(oldest):  # its last reader would find no run to forget; it reads on
                self._journal.forget(oldest.stream_id)
        if held:
            self._journal.forget(run.stream_id, self._ttl_s)

    def deserted(self, run: Run) -> None:
        """Drop an ended run whose last reader has left, unless it is held."""
        if not self._is_held(run) and self._runs.get(run.stream_id) is run:
            self.forget(run.stream_id)

    def forget(self, stream_id: str) -> None:
        """Drop an ended reply, so that no reader can come back to it."""
        if self._runs.pop(stream_id, None) is not None:
            self._journal.forget(stream_id)

    def replace(self, stream_id: str) -> None:
        """Drop an ended run whose reply begins again, in a new journal."""
        self._runs.pop(stream_id, None)

    def _is_held(self, run: Run) -> bool:
        """Return whether its journal is held for a time after its end."""
        return run.resume_url is not None and self._ttl_s > 0 and run.outcome not in GOES_ON_ELSEWHERE
