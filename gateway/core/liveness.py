"""Shows the other gateways that this one lives, and finds those that do not live any more.

A gateway renews its row every second. The database's clock decides who is dead, so gateways' clocks may
differ. A gateway that cannot renew is fenced before others can find it dead; it measures that with its own
monotonic clock, because it may not reach the database.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from gateway.contract.errors import StorageFailed
from gateway.contract.gateways import DEAD_S, Gateways, KnownGateway, Renewal

log = logging.getLogger("sluice.gateways")

EVERY_S = 1.0
FENCE_S = 2.0
"""Seconds without a renewal after which this gateway is fenced. Less than DEAD_S."""
LATE_S = 2.0
AFTER_LOSS_S = 5.0
"""Seconds for which no gateway is judged after this one could not renew for LATE_S, or the database
was started: the others could not renew either. Also after the database's clock was set."""
AFTER_START_S = 2.0
"""The same, after the start of this gateway: the database may have been unreachable until now."""
LEAVE_S = 1.0
"""Seconds for telling the others of the end. They find out by themselves after DEAD_S."""
SEARCH_S = 10.0
"""Seconds between two searches for replies without a living owner, if no gateway is silent."""

TakeOver = Callable[[Collection[str]], Awaitable[object]]
"""Takes over the running replies of these owners, which are dead."""


class Liveness:
    """The heartbeat of this gateway.

    Args:
        made_here: returns the stream ids of the replies that this gateway makes.
        take_over: called with dead owners, by one gateway or by several at the same time.
        on_change: called with the owners of the other living gateways, and the owners that do not
            live any more, when others have come or gone.
        on_fence: called with True when this gateway is fenced, with False when it has renewed its row again.
        clock: seconds, monotonic.

    Attributes:
        others: the other gateways that live, by owner.
        fenced: True if other gateways may take over the replies of this one.
    """

    def __init__(
        self,
        gateways: Gateways,
        take_over: TakeOver,
        on_fence: Callable[[bool], None],
        *,
        made_here: Callable[[], Collection[str]] = lambda: (),
        on_change: Callable[[Collection[str], Collection[str]], None] = lambda others, lost: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gateways = gateways
        self._take_over = take_over
        self._on_fence = on_fence
        self._on_change = on_change
        self._made_here = made_here
        self._missed_at: Mapping[str, float] = {}
        self._clock = clock
        self._sleep = sleep
        self._renewed_at = self._search_at = float("-inf")
        self._judge_at = float("inf")
        self._ahead_s = 0.0
        self._fence_timer: asyncio.TimerHandle | None = None
        self._look = asyncio.Event()
        self.others: Mapping[str, KnownGateway] = {}
        self.fenced = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Live during the block. Raises StorageFailed if the database does not accept this gateway."""
        began = self._clock()
        renewal = await self._gateways.renew()
        self._renewed(began, renewal)
        self._judge_at = began + AFTER_START_S
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(self._beat()), tasks.create_task(self._judge())]
                try:
                    yield
                finally:
                    for task in background:
                        task.cancel()
        finally:
            if self._fence_timer is not None:
                self._fence_timer.cancel()
            await self._leave()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._gateways.leave()
        except (StorageFailed, TimeoutError) as error:
            why = error if isinstance(error, StorageFailed) else f"it took longer than {LEAVE_S:g} s"
            log.warning("the other gateways will find that this one has ended: %s", why)

    async def _beat(self) -> None:
        failing = False
        while True:
            await self._sleep(
                max(0.0, self._renewed_at + EVERY_S - self._clock()) if not failing else EVERY_S
            )
            began = self._clock()
            try:
                renewal = await self._gateways.renew()
            except StorageFailed as error:
                if not failing:
                    log.warning("this gateway cannot show that it lives: %s", error)
                failing = True
            else:
                failing = False
                self._renewed(began, renewal)

    def _renewed(self, began: float, renewal: Renewal) -> None:
        now = self._clock()
        late = began - self._renewed_at > LATE_S or renewal.was_missing
        ahead_s = renewal.database_at - began
        was_set = abs(ahead_s - self._ahead_s) > LATE_S
        if late or was_set or 0 <= renewal.database_up_s < AFTER_LOSS_S:
            self._judge_at = now + AFTER_LOSS_S
        self._ahead_s = ahead_s
        self._renewed_at = began
        self._note(renewal)
        if self._fence_timer is not None:
            self._fence_timer.cancel()
        loop = asyncio.get_running_loop()
        self._fence_timer = loop.call_later(max(0.0, began + FENCE_S - now), self._fence)
        if self.fenced:
            self.fenced = False
            log.warning("this gateway has renewed its row: its resumable replies can be read here again")
            self._on_fence(False)
        is_silent = len(self.others) < len(renewal.others)
        if now >= self._judge_at and (is_silent or now >= self._search_at):
            self._look.set()

    def _note(self, renewal: Renewal) -> None:
        is_judged = self._clock() >= self._judge_at
        others = {
            other.owner: other
            for other in renewal.others
            if abs(other.silent_s) <= DEAD_S or (other.owner in self.others and not is_judged)
        }
        for owner in sorted(others.keys() - self.others.keys()):
            log.info("gateway %s is on this database too", owner)
        before, self.others = self.others.keys(), others
        if before != others.keys():
            self._on_change(others.keys(), before - others.keys())

    def _fence(self) -> None:
        self.fenced = True
        log.warning(
            "this gateway has not renewed its row for %g s: readers of resumable replies continue at another "
            "one, or here when the database is back",
            FENCE_S,
        )
        self._on_fence(True)

    async def _judge(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            self._search_at = self._clock() + SEARCH_S
            try:
                await self._release_forgotten()
                dead = await self._gateways.dead(DEAD_S)
                if dead:
                    log.warning("%s does not live any more: its replies are taken over", _named(dead))
                    await self._take_over(dead)
                    await self._gateways.remove(dead, DEAD_S)
            except StorageFailed as error:
                log.warning("replies of dead gateways are taken over later: %s", error)
            except Exception:
                log.exception("replies of dead gateways could not be taken over")

    async def _release_forgotten(self) -> None:
        """Give up the replies that are this gateway's by their rows, but that it has not made for SEARCH_S.

        The database committed them, and its answer was lost. All gateways find them as those of a dead one.
        """
        owned, now = await self._gateways.owned(), self._clock()
        missing = set(owned) - set(self._made_here())
        since = {stream_id: self._missed_at.get(stream_id, now) for stream_id in missing}
        forgotten = [stream_id for stream_id, at in since.items() if now - at >= SEARCH_S]
        self._missed_at = since
        if forgotten:
            log.warning("%d replies that this gateway has lost are given up", len(forgotten))
            await self._gateways.release(forgotten)


def _named(owners: Collection[str]) -> str:
    return ", ".join(sorted(owners))
