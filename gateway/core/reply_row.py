"""Stores the end of a reply in its row, and finds out why it cannot be stored."""

from collections.abc import Awaitable, Callable

from gateway.contract.errors import NotFound, StorageFailed
from gateway.contract.exchanges import Exchange, FinalReply
from gateway.core.reply_store import ReplyStore
from gateway.core.run import TAKEN_OVER, Outcome

STORAGE_RETRY_S = 5.0
LOST = "The reply's message was deleted, or another gateway ended it."


class RowLost(StorageFailed):
    """The row cannot be changed, because it was deleted, has ended, or was taken over."""


class ReplyRow:
    """The row of one reply.

    clock: seconds, monotonic.
    """

    def __init__(
        self,
        store: ReplyStore,
        stream_id: str,
        exchange: Exchange,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._stream_id = stream_id
        self._epoch = exchange.epoch
        self._clock = clock
        self._sleep = sleep

    async def write(self, final: FinalReply) -> None:
        """Raise StorageFailed if the database fails for STORAGE_RETRY_S, RowLost if the row cannot be
        changed."""
        give_up_at = self._clock() + STORAGE_RETRY_S
        pause_s = 0.05
        while True:
            try:
                changed = await self._store.finish(final)
                break
            except StorageFailed:
                if self._clock() >= give_up_at:
                    raise
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)
        if not changed:
            raise RowLost(LOST)

    async def loss(self, user_id: str) -> Outcome:
        """Return the outcome of a reply whose row cannot be changed. TAKEN_OVER if another gateway has it, or
        may have it: then its readers get no end, and resume."""
        try:
            found = await self._store.exchange(user_id, self._stream_id)
        except NotFound:
            return Outcome("failed", "storage_failed", RowLost(LOST))
        except StorageFailed:
            return TAKEN_OVER
        return (
            TAKEN_OVER if found.epoch != self._epoch else Outcome("failed", "storage_failed", RowLost(LOST))
        )
