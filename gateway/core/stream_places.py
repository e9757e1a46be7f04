"""Simultaneous streams, counted in the memory of this gateway."""

from collections import Counter

from gateway.contract.limits import FreePlaces, Quota, StreamPlace, UserClass, no_free_place


class StreamPlaces:
    """Implements gateway.contract.limits.Places: allows this gateway's share of each limit."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self.refused: Counter[UserClass] = Counter()

    def free(self, quota: Quota) -> FreePlaces:
        return FreePlaces(quota.share, max(0, quota.share - self._taken[quota.account]))

    async def take(self, quota: Quota) -> StreamPlace:
        if self._taken[quota.account] >= quota.share:
            self.refused[quota.user_class] += 1
            raise no_free_place(quota.share)
        return self.take_over(quota)

    def take_over(self, quota: Quota) -> StreamPlace:
        self._taken[quota.account] += 1
        return StreamPlace(self._leave, quota.account)

    def _leave(self, account: str) -> None:
        self._taken[account] -= 1
        if not self._taken[account]:
            del self._taken[account]
