"""Owns the tasks that produce replies: starts, follows, stops, abandons and drains them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from gateway.contract.access import Access
from gateway.contract.errors import Conflict, Draining, GatewayError, NotFound, StorageFailed
from gateway.contract.events import Status
from gateway.contract.exchanges import Exchange
from gateway.contract.journal import START, Journal, JournalReader, OnNews, Position
from gateway.core.ended_runs import EndedRuns
from gateway.core.follower import Follower
from gateway.core.other_work import OtherWork
from gateway.core.run import ABANDONED, BROKEN, LEFT, SHUTDOWN, TAKEN_OVER, USER_STOP, Outcome, Run

log = logging.getLogger("sluice.runs")

Work = Callable[[Run], Coroutine[Any, Any, None]]
Conclusion = Callable[[Run], Awaitable[Outcome]]


class Runs:
    """All running replies, and those that ended a short time ago.

    Args:
        grace_s: seconds that a resumable reply continues without a reader.
        ttl_s: seconds that a resumable reply's journal is kept after its end.

    Attributes:
        ended: runs that ended a short time ago.
        draining: True if no new replies are accepted.
        fenced: True if other gateways may take over the replies of this one: see core/liveness.py.
        on_drain: called when `draining` becomes True; they must not block or raise.
    """

    def __init__(self, journal: Journal, access: Access, *, grace_s: float, ttl_s: float) -> None:
        self._journal = journal
        self._access = access
        self._grace_s = grace_s
        self._running: dict[str, Run] = {}
        self.ended = EndedRuns(journal, ttl_s)
        self._others = OtherWork()
        self._tasks: asyncio.TaskGroup | None = None
        self.draining = False
        self.fenced = False
        self.on_drain: set[Callable[[], None]] = set()

    def __len__(self) -> int:
        """Number of running replies."""
        return len(self._running)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                self._settle_all()

    def refuse_if_draining(self) -> None:
        if self.draining:
            raise Draining("The gateway is stopping: try again in a moment.", retry_after_s=2)

    def fence(self, fenced: bool) -> None:
        """Set `fenced`. True also cuts off the readers of resumable replies, so that they resume; False
        gives those without a reader grace_s again."""
        self.fenced = fenced
        for run in [run for run in self._running.values() if run.resume_url is not None]:
            if fenced:
                run.journal.cut()
            elif run.readers == 0 and run.leave_timer is None:
                self._deserted(run)

    def may_lose(self, stream_id: str) -> bool:
        """Return True if the reply must not be read here now, because another gateway may have it."""
        return self.fenced and stream_id not in self.ended

    def refuse_new(self) -> None:
        """Raise Draining, or StorageFailed while fenced: the database is away."""
        self.refuse_if_draining()
        if self.fenced:
            raise StorageFailed("The gateway does not reach the database: try again in a moment.")

    def refuse_if_running(self, stream_id: str) -> None:
        if stream_id in self._running:
            raise Conflict("This reply is still being sent: wait for its end.")

    @contextmanager
    def other_work(self) -> Iterator[None]:
        """Count the block, such as a request for embeddings, as work that `drain` waits for.

        Raises Draining.
        """
        self.refuse_if_draining()
        with self._others.counted():
            yield

    def start(
        self,
        stream_id: str,
        user_id: str,
        work: Work,
        conclude: Conclusion,
        *,
        exchange: Exchange,
        resume_url: str | None,
        unattended: bool = False,
        dialect: str = "",
        begins_at: Position = START,
    ) -> Run:
        """Start a task that runs `work`, then `conclude`. Raises Draining. begins_at: as in Run.

        `work` settles the run when the reply is complete; its exception settles it as failed. Then
        `conclude`, which stops no longer interrupt, stores the reply, appends the terminal event and returns
        the final outcome. Follow the new run before the next await: an ended run may be dropped at once.
        """
        self.refuse_if_draining()
        assert self._tasks is not None, "Runs.start outside of running()"  # noqa: S101 - a bug of assembly
        self.ended.replace(stream_id)
        journal = self._journal.open(stream_id, begins_at)
        run = Run(
            stream_id,
            user_id,
            exchange,
            resume_url=resume_url,
            journal=journal,
            unattended=unattended,
            dialect=dialect,
            begins_at=begins_at,
        )
        self._running[stream_id] = run
        run.task = self._tasks.create_task(self._own(run, work, conclude), name=f"run-{stream_id}")
        return run

    def find(self, stream_id: str, user_id: str, *, to_stop: bool = False) -> Run:
        """Return the running or recently ended run. Raises NotFound if there is none, if another gateway has
        taken it over, or if access is denied."""
        may = self._access.may_write if to_stop else self._access.may_see
        run = self._running.get(stream_id) or self.ended.get(stream_id)
        if run is None or run.outcome is TAKEN_OVER or not may(user_id, run.user_id, run.exchange.session_id):
            raise NotFound("No such stream.")
        return run

    def all(self) -> list[Run]:
        """Return the running replies of all users, the oldest first."""
        return list(self._running.values())

    def of_session(self, session_id: int) -> list[Run]:
        """Return the running replies of a session."""
        return [run for run in self._running.values() if run.exchange.session_id == session_id]

    def needs_no_reader(self, session_id: int | None) -> bool:
        """True for the replies of a room: they go on when their last reader leaves."""
        return session_id is not None and self._access.is_shared(session_id)

    def count_sessions(self) -> int:
        """Return the number of sessions with a running reply; replies that are not stored have no session."""
        return len({run.exchange.session_id for run in self._running.values()} - {0})

    @contextmanager
    def following(self, run: Run, after: int = 0) -> Iterator[Follower]:
        """Read its events with a Follower, counted as a reader: see `reading`."""
        follower = Follower()
        with self.reading(run, follower.hear, after) as reader:
            follower.begin(reader)
            yield follower

    @contextmanager
    def reading(self, run: Run, on_news: OnNews, after: int = 0) -> Iterator[JournalReader]:
        """Read its events, counted as a reader. When the last reader leaves, the reply is abandoned, at once
        or after grace_s if it is resumable, but never in a room. Entering raises NotFound if the journal was
        dropped."""
        reader = self._journal.follow(run.stream_id, on_news, max(after, run.base_seq))
        run.readers += 1
        if run.leave_timer is not None:
            run.leave_timer.cancel()
            run.leave_timer = None
        try:
            yield reader
        finally:
            reader.leave()
            run.readers -= 1
            if run.readers == 0:
                self._deserted(run)

    @contextmanager
    def looking(self, run: Run, after: int, on_news: OnNews = lambda: None) -> Iterator[JournalReader]:
        """Read its events without being counted as a reader."""
        reader = self._journal.follow(run.stream_id, on_news, max(after, run.base_seq))
        try:
            yield reader
        finally:
            reader.leave()

    @contextmanager
    def overhearing(self, run: Run) -> Iterator[Follower]:
        """Read its events with a Follower, without being counted as a reader."""
        follower = Follower()
        with self.looking(run, 0, follower.hear) as reader:
            follower.begin(reader)
            yield follower

    def expect_reader(self, run: Run) -> None:
        """Abandon an adopted run after grace_s, unless a reader has returned or it needs none."""
        if run.readers == 0:
            self._deserted(run)

    async def stop(self, stream_id: str, user_id: str) -> Outcome:
        """Stop a run for its user. Return when its terminal event is stored and appended. Raises NotFound."""
        return await self.end(self.find(stream_id, user_id, to_stop=True))

    async def end(self, run: Run) -> Outcome:
        """Stop a run. Return when its terminal event is stored and appended."""
        run.settle(USER_STOP)
        await run.ended.wait()
        assert run.outcome is not None  # noqa: S101 - settled above, by us or before us
        return run.outcome

    async def drain(self, within_s: float, hurry: asyncio.Event) -> None:
        """Refuse new replies and other work, and wait for the present ones. After `within_s` seconds or at
        `hurry`, do as end_all and wait for nothing else."""
        self._begin_drain()
        if not self._running and not self._others:
            return
        async with asyncio.TaskGroup() as group:
            hurried = group.create_task(hurry.wait())
            emptied = group.create_task(self._emptied())
            await asyncio.wait({hurried, emptied}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            await self.end_all()
            emptied.cancel()
            hurried.cancel()

    async def end_all(self) -> None:
        """Leave replies that can go on to their next owner, end the others as `shutdown`, and wait until all
        are stored."""
        self._settle_all()
        await self._replies_ended()

    def _settle_all(self) -> None:
        self._begin_drain()
        for run in [run for run in self._running.values() if not run.is_settled()]:
            run.settle(LEFT if run.leave() else SHUTDOWN)

    def _begin_drain(self) -> None:
        self.draining = True
        for call in tuple(self.on_drain):
            call()

    async def _emptied(self) -> None:
        await self._replies_ended()
        await self._others.ended()

    async def _replies_ended(self) -> None:
        while self._running:
            await next(iter(self._running.values())).ended.wait()

    def _deserted(self, run: Run) -> None:
        if run.outcome is not None:
            if run.ended.is_set():
                self.ended.deserted(run)
            return
        if run.unattended or self.needs_no_reader(run.exchange.session_id):
            return
        if run.resume_url is None:
            run.settle(ABANDONED)
            return
        loop = asyncio.get_running_loop()
        run.leave_timer = loop.call_later(self._grace_s, self._abandon, run)

    def _abandon(self, run: Run) -> None:
        run.leave_timer = None
        # A fenced gateway has sent its readers away, perhaps to a gateway that has the reply now.
        if not (self.fenced or self.needs_no_reader(run.exchange.session_id)):
            run.settle(ABANDONED)

    async def _own(self, run: Run, work: Work, conclude: Conclusion) -> None:
        # The task ends here: a bug in one reply must not end the others through the TaskGroup.
        try:
            await run.interruptible(work(run))
        except GatewayError as error:
            status: Status = "interrupted" if error.reason == "interrupted" else "failed"
            run.settle(Outcome(status, error.reason, error))
        except Exception:
            log.exception("stream %s failed with an unexpected error", run.stream_id)
            run.settle(BROKEN)
        try:
            run.outcome = await conclude(run)
        except Exception:
            log.exception("the end of stream %s failed with an unexpected error", run.stream_id)
        finally:
            if run.leave_timer is not None:
                run.leave_timer.cancel()
            del self._running[run.stream_id]
            run.journal.close()
            run.ended.set()
            self.ended.remember(run)
