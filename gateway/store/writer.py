"""The single task that writes: it commits all waiting changes in one transaction; callers wait for the
commit."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from gateway.contract.deadlines import Deadlines
from gateway.contract.errors import RequestRejected, StorageFailed
from gateway.contract.light_timeout import LightTimeout
from gateway.store.away import collides, is_away, reason_of
from gateway.store.transactions import Transact, Transaction
from gateway.store.waiting_changes import WaitingChanges

log = logging.getLogger("sluice.store")

MAX_WAITING = 10_000
DEADLINE_S = 10.0
RETRY_S = 1.0
MAX_TRIES = 10  # of a change that collides with those of other gateways
LAST_TRIES_S = 5.0
"""Seconds for the last changes after the writer was closed: another program's lock may end."""

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Write(Generic[P, R]):
    """One kind of change. Each object is a kind of its own.

    Attributes:
        apply: makes the changes of all waiting payloads and returns one outcome for each, in their order. A
            RequestRejected among them is raised to its caller only. If `apply` raises, the transaction is
            rolled back and each payload is retried once, alone.
        rank: changes of lower rank are applied first; within a rank the order is that of the callers.
        needs_caller: the change is dropped if its caller is cancelled before the change was begun.
        undo: reverts the change if its caller was cancelled during it; its payload is the outcome.
        urgent: the change gets a transaction before others that wait: a user sees nothing until it is made.
        alone: the change is made after other kinds, in another transaction: it locks rows in another order.
    """

    apply: Callable[[Connection, Sequence[P]], Sequence[R | RequestRejected]]
    rank: int
    needs_caller: bool = False
    undo: "Write[R, None] | None" = None
    urgent: bool = False
    alone: bool = False


@dataclass(slots=True, eq=False)
class _Job:
    """One change to make. `owed`: it has no waiting caller and is retried until the database accepts it."""

    write: Write[Any, Any]
    payload: Any
    outcome: asyncio.Future[Any]
    at: float
    owed: bool = False


class Writer:
    """Groups changes into transactions.

    Args:
        transact: runs one transaction.
        deadline_s: maximum seconds for one transaction, and for a caller.
        retry_s: seconds between retries of owed changes while nothing else is written.
        clock: seconds, monotonic.

    Attributes:
        waited: number of committed changes, and the sum of the seconds from their request to the commit.
    """

    def __init__(
        self,
        transact: Transact,
        *,
        deadline_s: float = DEADLINE_S,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transact = transact
        self._deadline_s = deadline_s
        self._deadlines: Deadlines[_Job] = Deadlines(deadline_s, self._give_up)
        self._retry_s = retry_s
        self._clock = clock
        self._waiting: WaitingChanges[_Job] = WaitingChanges()
        self._begun: Sequence[_Job] = ()
        self._owed: list[_Job] = []
        self._wake = asyncio.Event()
        self._open = False
        self._owed_until = float("inf")
        self.latest: Transaction | None = None
        self.waited = (0, 0.0)

    @property
    def open(self) -> bool:
        return self._open

    def __len__(self) -> int:
        """Number of changes that wait for their transaction."""
        return len(self._waiting) + len(self._owed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write during the block. Leaving it first commits all waiting changes."""
        async with asyncio.TaskGroup() as tasks:
            self._open = True
            work = tasks.create_task(self._work())
            try:
                yield
            finally:
                self._open = False
                self._owed_until = self._clock() + LAST_TRIES_S
                self._wake.set()
                await asyncio.wait({work}, timeout=LAST_TRIES_S)
                if not work.done():
                    self._lose_rest()
                    work.cancel()

    def _lose_rest(self) -> None:
        lost = [job for job in (*self._begun, *self._owed, *self._waiting) if not job.outcome.done()]
        self._owed.clear()
        self._waiting.clear()
        log.error("the database took too long: %d changes are lost", len(lost))
        _fail(lost, TimeoutError(), "The database took too long.")

    async def do(self, write: Write[P, R], payload: P) -> R:
        """Return the outcome when the change is committed. Raises RequestRejected or StorageFailed.

        A change whose caller is cancelled is still made, unless the kind `needs_caller` and the change is
        still waiting, or the kind has an `undo`.
        """
        if not self._open:
            raise StorageFailed("The store is closed.")
        if len(self._waiting) >= MAX_WAITING:
            raise StorageFailed("Too many changes are waiting for the database.")
        job = _Job(write, payload, asyncio.get_running_loop().create_future(), self._clock())
        self._waiting.add(job, urgent=write.urgent)
        self._wake.set()
        self._deadlines.add(job)
        try:
            return await job.outcome  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            if _is_known(job) and job.outcome.exception() is None:
                self._undo(job, job.outcome.result())
            raise
        finally:
            self._deadlines.remove(job)

    def _give_up(self, job: _Job) -> None:
        if not job.outcome.done():
            job.outcome.set_exception(StorageFailed(f"The database took longer than {self._deadline_s:g} s."))

    def owe(self, write: Write[P, R], payload: P) -> asyncio.Future[R]:
        """Make the change as soon as the database accepts it, without a deadline. Return the future outcome.

        It is StorageFailed if the database refuses this change itself, or the writer is closed before.
        Cancelling the future drops the waiting change if its kind `needs_caller`.
        """
        job = _Job(write, payload, asyncio.get_running_loop().create_future(), self._clock(), owed=True)
        if self._open:
            self._owed.append(job)
            self._wake.set()
        else:
            job.outcome.set_exception(StorageFailed("The store is closed."))
        return job.outcome

    async def _work(self) -> None:
        while self._open or self._waiting or self._owed:
            await self._woken()
            # Owed changes join every group; without other changes they are retried every retry_s.
            await self._write_group()
            while self._waiting:
                await self._write_group()

    async def _woken(self) -> None:
        if not self._owed:
            await self._wake.wait()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._retry_s):
                    await self._wake.wait()
        self._wake.clear()

    async def _write_group(self) -> None:
        group = self._begun = [*self._owed, *self._waiting.next_group()]
        self._owed.clear()
        wanted = [job for job in group if not (job.write.needs_caller and job.outcome.done())]
        wanted.sort(key=lambda job: (job.write.alone, job.write.rank))
        for _, jobs in groupby(wanted, key=lambda job: job.write.alone and job.write):
            await self._write([*jobs])
        self._begun = ()

    async def _write(self, jobs: list[_Job], *, tries: int = 0) -> None:
        try:
            outcomes = await self._commit(jobs)
        except Exception as exc:
            if is_away(exc):
                self._note(exc)
                self._put_off(jobs, exc)
            elif tries == 0:
                for job in jobs:  # one of them is at fault, or another process changed the same rows
                    await self._write([job], tries=1)
            elif tries < MAX_TRIES and collides(exc):
                await self._write(jobs, tries=tries + 1)
            else:
                log.exception("the database refused a change")
                _fail(jobs, exc, "The database refused the change.")
        else:
            self._note(None)
            self._note_waits(jobs)
            for job, outcome in outcomes:
                self._settle(job, outcome)

    async def _commit(self, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
        def apply(connection: Connection) -> list[tuple[_Job, Any]]:
            outcomes: list[tuple[_Job, Any]] = []
            for write, group in groupby(jobs, key=lambda job: job.write):
                alike = list(group)
                outcomes += zip(alike, write.apply(connection, [job.payload for job in alike]), strict=True)
            return outcomes

        try:
            with LightTimeout(self._deadline_s):
                return await self._transact(apply)
        except TimeoutError as exc:
            raise TimeoutError(f"a transaction took longer than {self._deadline_s:g} s") from exc

    def _note(self, failure: Exception | None) -> None:
        """Record the result of a transaction. Log it only if it differs from the latest: retries are
        frequent."""
        before = None if self.latest is None else self.latest.failure
        self.latest = Transaction(self._clock(), failure)
        if failure is None:
            if before is not None:
                log.warning("the database takes changes again")
        elif before is None or reason_of(before) != reason_of(failure):
            log.error("the database takes no changes: %s", reason_of(failure))

    def _note_waits(self, jobs: list[_Job]) -> None:
        count, seconds = self.waited
        waited_s = len(jobs) * self._clock() - sum(job.at for job in jobs)
        self.waited = (count + len(jobs), seconds + waited_s)

    def _put_off(self, jobs: list[_Job], cause: Exception) -> None:
        """Keep owed jobs for the next group, and fail the others."""
        owed = [job for job in jobs if job.owed] if self._clock() < self._owed_until else []
        self._owed += owed
        why = f"The database takes no changes: {reason_of(cause)}."
        _fail([job for job in jobs if job not in owed], cause, why)

    def _settle(self, job: _Job, outcome: object) -> None:
        if job.outcome.done():  # the caller was cancelled or has timed out
            if not isinstance(outcome, Exception):
                self._undo(job, outcome)
        elif isinstance(outcome, Exception):
            job.outcome.set_exception(outcome)
        else:
            job.outcome.set_result(outcome)

    def _undo(self, job: _Job, outcome: object) -> None:
        if job.write.undo is not None:
            log.warning("a change was committed after its caller had left: it is undone")
            self.owe(job.write.undo, outcome).add_done_callback(_note_failure)


def _is_known(job: _Job) -> bool:
    return job.outcome.done() and not job.outcome.cancelled()


def _fail(jobs: Sequence[_Job], cause: Exception, why: str) -> None:
    for job in jobs:
        if not job.outcome.done():
            failure = StorageFailed(why)
            failure.__cause__ = cause
            job.outcome.set_exception(failure)


def _note_failure(outcome: asyncio.Future[Any]) -> None:
    if not outcome.cancelled() and outcome.exception() is not None:
        log.error("a change could not be undone: %s", outcome.exception())
