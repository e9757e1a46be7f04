"""The one task that writes: all that waits goes into one transaction; each caller waits for its commit."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from gateway.contract.errors import RequestRejected, StorageFailed

log = logging.getLogger("sluice.store")

MAX_GROUP = 64
"""Of a crowd that arrives at once, the first are answered while the next ones are written."""

MAX_WAITING = 10_000
DEADLINE_S = 10.0
RETRY_S = 1.0
LAST_TRIES_S = 5.0
"""How long what is owed is tried after the writer was closed: another program's lock may pass."""

# The database is away or locked: no job is to blame, and trying them one by one would only take longer.
_AWAY = (OperationalError, InterfaceError, OSError)

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Write(Generic[P, R]):
    """One kind of change.

    apply: makes the changes for all waiting payloads of this kind and gives one outcome for each, in their
    order; a RequestRejected among them is raised to its caller alone. Where it raises, nothing is changed and
    each payload is tried once more, alone.
    rank: kinds of lower rank are applied first; within a kind the order is that of the callers.
    needs_caller: not made when its caller has gone before it was begun.
    undo: takes the change back when its caller went away while it was made; gets the outcome as its payload.
    """

    apply: Callable[[Connection, Sequence[P]], Sequence[R | RequestRejected]]
    rank: int
    needs_caller: bool = False
    undo: "Write[R, None] | None" = None


@dataclass(slots=True, eq=False)
class _Job:
    """owed: nobody waits for it, and it is tried until the database takes it."""

    write: Write[Any, Any]
    payload: Any
    outcome: asyncio.Future[Any]
    owed: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """How one ended. at: seconds, monotonic. failure: why the database did not take it; None if it did."""

    at: float
    failure: Exception | None


class Transact(Protocol):
    """Does `work` in one transaction: committed when it returns, rolled back where it raises.

    Cancelled, it does not leave before that is known: it raises CancelledError once all is rolled back, and
    returns as always if it was too late for that.
    """

    async def __call__(self, work: Callable[[Connection], R]) -> R: ...


class Writer:
    """deadline_s: how long one transaction, one caller, and the end of `running` wait. retry_s: how often
    what is owed is tried while nothing else is written. clock: seconds, monotonic.
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
        self._retry_s = retry_s
        self._clock = clock
        self._waiting: deque[_Job] = deque()
        self._owed: list[_Job] = []
        self._wake = asyncio.Event()
        self._open = False
        self._owed_until = float("inf")
        self.latest: Transaction | None = None

    @property
    def open(self) -> bool:
        return self._open

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write for as long as the block lasts; leaving it first commits what was handed over."""
        async with asyncio.TaskGroup() as tasks:
            self._open = True
            work = tasks.create_task(self._work())
            try:
                yield
            finally:
                self._open = False
                self._owed_until = self._clock() + LAST_TRIES_S
                self._wake.set()
                await asyncio.wait({work}, timeout=self._deadline_s)
                if not work.done():
                    lost = len(self._waiting) + len(self._owed)
                    log.error("The database took too long: %d writes are lost", lost)
                    self._waiting.clear()
                    self._owed.clear()
                    work.cancel()

    async def do(self, write: Write[P, R], payload: P) -> R:
        """Return when the change is committed.

        Raises what `write.apply` gave as the outcome, or StorageFailed. A caller that gives up does not take
        its change back, unless the kind `needs_caller` and it was still waiting, or has an `undo`.
        """
        if not self._open:
            raise StorageFailed("The store is closed.")
        if len(self._waiting) >= MAX_WAITING:
            raise StorageFailed("Too many changes are waiting for the database.")
        loop = asyncio.get_running_loop()
        job = _Job(write, payload, loop.create_future())
        self._waiting.append(job)
        self._wake.set()
        deadline = loop.call_later(self._deadline_s, self._give_up, job)
        try:
            return await job.outcome  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            if _is_known(job) and job.outcome.exception() is None:
                self._undo(job, job.outcome.result())
            raise
        finally:
            deadline.cancel()

    def _give_up(self, job: _Job) -> None:
        if not job.outcome.done():
            job.outcome.set_exception(StorageFailed(f"The database took longer than {self._deadline_s:g} s."))

    def owe(self, write: Write[P, R], payload: P) -> asyncio.Future[R]:
        """Make the change as soon as the database takes it, however long that is; give its outcome.

        The outcome is StorageFailed if this change cannot be made at all, or the writer is closed before.
        Cancelling the outcome takes a change of a kind that `needs_caller` back.
        """
        job = _Job(write, payload, asyncio.get_running_loop().create_future(), owed=True)
        if self._open:
            self._owed.append(job)
            self._wake.set()
        else:
            job.outcome.set_exception(StorageFailed("The store is closed."))
        return job.outcome

    async def _work(self) -> None:
        while self._open or self._waiting or self._owed:
            await self._woken()
            # What is owed comes along with everything else; by itself only as often as we wake.
            await self._write(self._next_group())
            while self._waiting:
                await self._write(self._next_group())

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(self._retry_s if self._owed else None):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _next_group(self) -> list[_Job]:
        group = [*self._owed, *(self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP)))]
        self._owed.clear()
        return [job for job in group if not (job.write.needs_caller and job.outcome.done())]

    async def _write(self, jobs: list[_Job], *, again: bool = False) -> None:
        if not jobs:
            return
        try:
            outcomes = await self._commit(jobs)
        except _AWAY as exc:
            self._note(exc)
            self._put_off(jobs, exc)
        except Exception as exc:
            if not again:
                # One of them is at fault, or another process took what was free at the first look.
                for job in jobs:
                    await self._write([job], again=True)
            else:
                log.exception("The database refused a change")
                _fail(jobs, exc, "The database did not take the change.")
        else:
            self._note(None)
            for job, outcome in outcomes:
                self._settle(job, outcome)

    async def _commit(self, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
        by_kind: dict[Write[Any, Any], list[_Job]] = {}
        for job in jobs:
            by_kind.setdefault(job.write, []).append(job)

        def apply(connection: Connection) -> list[tuple[_Job, Any]]:
            outcomes: list[tuple[_Job, Any]] = []
            for write in sorted(by_kind, key=lambda write: write.rank):
                alike = by_kind[write]
                outcomes += zip(alike, write.apply(connection, [job.payload for job in alike]), strict=True)
            return outcomes

        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._transact(apply)
        except TimeoutError as exc:
            raise TimeoutError(f"a transaction took longer than {self._deadline_s:g} s") from exc

    def _note(self, failure: Exception | None) -> None:
        """Remember how a transaction ended, and log it if that is news: failing ones come every second."""
        before = None if self.latest is None else self.latest.failure
        self.latest = Transaction(self._clock(), failure)
        if failure is None:
            if before is not None:
                log.warning("the database takes changes again")
        elif before is None or reason_of(before) != reason_of(failure):
            log.error("the database takes no changes: %s", reason_of(failure))

    def _put_off(self, jobs: list[_Job], cause: Exception) -> None:
        """Keep what is owed for the next time, and tell everybody else."""
        owed = [job for job in jobs if job.owed] if self._clock() < self._owed_until else []
        self._owed += owed
        why = f"The database takes no changes: {reason_of(cause)}."
        _fail([job for job in jobs if job not in owed], cause, why)

    def _settle(self, job: _Job, outcome: object) -> None:
        if job.outcome.done():  # its caller has gone
            if not isinstance(outcome, Exception):
                self._undo(job, outcome)
        elif isinstance(outcome, Exception):
            job.outcome.set_exception(outcome)
        else:
            job.outcome.set_result(outcome)

    def _undo(self, job: _Job, outcome: object) -> None:
        if job.write.undo is not None:
            log.warning("A change was made after its caller had gone; it is taken back")
            self.owe(job.write.undo, outcome).add_done_callback(_note_failure)


def reason_of(failure: Exception) -> str:
    """Why the database failed, in its own words, without the statement."""
    return str(failure.orig if isinstance(failure, DBAPIError) else failure)


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
        log.error("A change could not be taken back: %s", outcome.exception())
