"""One running reply and its outcome."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from gateway.contract.errors import Draining, GatewayError, StorageFailed
from gateway.contract.events import Reason, Started, Status
from gateway.contract.exchanges import Exchange
from gateway.contract.journal import START, JournalWriter, Position
from gateway.contract.light_event import LightEvent
from gateway.contract.traces import NoSpan, ReplySpan


class Outcome(Struct, frozen=True):
    """The end of a reply: the status of its row, the reason (events.py), and the error of a failed reply."""

    status: Status
    reason: Reason
    error: GatewayError | None = None


USER_STOP = Outcome("cancelled", "user_stop")
ABANDONED = Outcome("cancelled", "abandoned")
SHUTDOWN = Outcome("interrupted", "shutdown", Draining("The gateway was stopped before the reply ended."))
TAKEN_OVER = Outcome(
    "failed",
    "storage_failed",
    StorageFailed(
        "This gateway did not reach the database, so another one has the reply now and took it over."
    ),
)
LEFT = Outcome("interrupted", "shutdown", Draining("The gateway was stopped; the reply goes on elsewhere."))
"""As SHUTDOWN, but its row keeps the status streaming, for the next owner."""

GOES_ON_ELSEWHERE = (TAKEN_OVER, LEFT)
BROKEN = Outcome("failed", "upstream_error", GatewayError("Internal error of the gateway: see its log."))


def cannot_be_left() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Production:
    """The production of a running reply so far.

    Attributes:
        mode: of the transport that has the request.
        age_s: seconds since the question.
        chars: length of its text.
    """

    mode: str
    age_s: float
    chars: int


class Run:
    """One running reply. The first call of `settle` decides its outcome.

    Attributes:
        resume_url: readers that left may return with it; None if the reply is cancelled when its last reader
            leaves.
        unattended: True if the reply continues when its last reader leaves.
        event_lengths: lengths of its events, if they are recorded.
        dialect: name of the dialect of the client that asked; `device` for a device.
        begins_at: where a reply that is continued goes on; else START.
        is_adopted: the reply was begun by another gateway, or an earlier start of this one.
        base_seq: number before the first event of a reply that was adopted, in its journal; else 0.
        counts_from: number of the event after which this gateway's reads are counted.
        opening: the Started event of a reply that is continued, whose journal has none; else None.
        span: of the reply; set at its begin.
        leave: called at a shutdown; returns True if the next owner can continue the reply, which must not be
            stopped at its generator then.
        production: returns its Production; None before it has begun and after its end.
        readers, leave_timer, task: of Runs.
    """

    __slots__ = (
        "_interruptible",
        "base_seq",
        "begins_at",
        "counts_from",
        "dialect",
        "ended",
        "event_lengths",
        "exchange",
        "is_adopted",
        "journal",
        "leave",
        "leave_timer",
        "opening",
        "outcome",
        "production",
        "readers",
        "resume_url",
        "span",
        "stream_id",
        "task",
        "unattended",
        "user_id",
    )

    def __init__(
        self,
        stream_id: str,
        user_id: str,
        exchange: Exchange,
        *,
        resume_url: str | None,
        journal: JournalWriter,
        unattended: bool = False,
        dialect: str = "",
        begins_at: Position = START,
    ) -> None:
        self.begins_at = begins_at
        self.is_adopted = False
        self.base_seq = 0
        self.counts_from = begins_at.seq
        self.opening: Started | None = None
        self.stream_id = stream_id
        self.user_id = user_id
        self.exchange = exchange
        self.resume_url = resume_url
        self.journal = journal
        self.unattended = unattended
        self.dialect = dialect
        self.span: ReplySpan = NoSpan()
        self.production: Callable[[], Production] | None = None
        self.event_lengths: Sequence[int] | None = None
        self.outcome: Outcome | None = None
        self.ended = LightEvent()
        self._interruptible = False
        self.readers = 0
        self.leave: Callable[[], bool] = cannot_be_left
        self.leave_timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def adopt(self) -> None:
        """Mark it as adopted. Its journal begins with the reply's first event, numbered anew."""
        self.is_adopted = True
        self.base_seq = self.begins_at.seq
        self.begins_at = START

    def settle(self, outcome: Outcome) -> None:
        """Set the outcome, unless it is set already, and cancel interruptible work that is not the caller."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        task = self.task
        if self._interruptible and task is not None and task is not asyncio.current_task():
            task.cancel()

    def is_settled(self) -> bool:
        """True if the outcome is set."""
        return self.outcome is not None

    async def interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`. If `settle` is called meanwhile, cancel it and return."""
        if self.outcome is not None:
            work.close()
            return
        self._interruptible = True
        try:
            await work
        except asyncio.CancelledError:
            ours = self.outcome is not None
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            if not ours or task.uncancel() > 0:
                raise
        finally:
            self._interruptible = False
