"""The one task that writes: all that waits goes into one transaction; each caller waits for its commit."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from gateway.contract.errors import RequestRejected, StorageFailed

log = logging.getLogger(__name__)

MAX_GROUP = 200
MAX_WAITING = 10_000
DEADLINE_S = 10.0

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
    """

    apply: Callable[[Connection, Sequence[P]], Sequence[R | RequestRejected]]
    rank: int
    needs_caller: bool = False


@dataclass(slots=True, eq=False)
class _Job:
    write: Write[Any, Any]
    payload: Any
    outcome: asyncio.Future[Any]


class Transact(Protocol):
    """Does `work` in one transaction: committed when it returns, rolled back where it raises."""

    async def __call__(self, work: Callable[[Connection], R]) -> R: ...


class Writer:
    """deadline_s: how long one transaction, one caller, and the end of `running` wait."""

    def __init__(self, transact: Transact, *, deadline_s: float = DEADLINE_S) -> None:
        self._transact = transact
        self._deadline_s = deadline_s
        self._waiting: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._open = False

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
                self._wake.set()
                await asyncio.wait({work}, timeout=self._deadline_s)
                if work.cancel():
                    log.error("The database took too long: %d writes are lost", len(self._waiting))

    async def do(self, write: Write[P, R], payload: P) -> R:
        """Return when the change is committed.

        Raises what `write.apply` gave as the outcome, or StorageFailed. A caller that gives up does not take
        its change back, unless the kind `needs_caller` and it was still waiting.
        """
        if not self._open:
            raise StorageFailed("The store is closed.")
        if len(self._waiting) >= MAX_WAITING:
            raise StorageFailed("Too many changes are waiting for the database.")
        job = _Job(write, payload, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._wake.set()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await job.outcome  # type: ignore[no-any-return]
        except TimeoutError as exc:
            raise StorageFailed(f"The database took longer than {self._deadline_s:g} s.") from exc

    async def _work(self) -> None:
        while self._open or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if group := self._next_group():
                    await self._write(group)

    def _next_group(self) -> list[_Job]:
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        return [job for job in group if not (job.write.needs_caller and job.outcome.done())]

    async def _write(self, jobs: list[_Job], *, again: bool = False) -> None:
        try:
            outcomes = await self._commit(jobs)
        except _AWAY as exc:
            log.warning("The database did not take %d changes: %s", len(jobs), exc)
            _fail(jobs, exc)
        except Exception as exc:
            if not again:
                # One of them is at fault, or another process took what was free at the first look.
                for job in jobs:
                    await self._write([job], again=True)
            else:
                log.exception("The database refused a change")
                _fail(jobs, exc)
        else:
            for job, outcome in outcomes:
                _settle(job, outcome)

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

        async with asyncio.timeout(self._deadline_s):
            return await self._transact(apply)


def _settle(job: _Job, outcome: object) -> None:
    if job.outcome.done():  # its caller has gone
        return
    if isinstance(outcome, Exception):
        job.outcome.set_exception(outcome)
    else:
        job.outcome.set_result(outcome)


def _fail(jobs: list[_Job], cause: Exception) -> None:
    for job in jobs:
        failure = StorageFailed("The database did not take the change.")
        failure.__cause__ = cause
        _settle(job, failure)
