"""Gives access to a running reply to code that does not use HTTP."""

from contextlib import AbstractContextManager

from gateway.contract.errors import NotFound
from gateway.core.follower import Follower
from gateway.core.run import GOES_ON_ELSEWHERE, USER_STOP, Run
from gateway.core.runs import Runs


class RunHandle:
    """Implements gateway.contract.ingress.ReplyHandle."""

    def __init__(self, runs: Runs, run: Run, *, was_begun: bool = False) -> None:
        self._runs = runs
        self._run = run
        self.was_begun = was_begun

    @property
    def stream_id(self) -> str:
        return self._run.stream_id

    @property
    def goes_on_elsewhere(self) -> bool:
        return self._run.outcome in GOES_ON_ELSEWHERE

    def reading(self, after: int = 0) -> AbstractContextManager[Follower]:
        return self._runs.following(self._run, after)

    def overhearing(self) -> AbstractContextManager[Follower]:
        return self._runs.overhearing(self._run)

    def stop(self) -> None:
        self._run.settle(USER_STOP)


def live_reply(runs: Runs, stream_id: str, user_id: str, *, was_begun: bool = True) -> RunHandle | None:
    """Return the running reply of this stream; None if this process has none that the user may see."""
    try:
        run = runs.find(stream_id, user_id)
    except NotFound:
        return None
    return None if run.ended.is_set() else RunHandle(runs, run, was_begun=was_begun)
