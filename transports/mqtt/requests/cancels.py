"""Cancels for workers, which may be away, or behind a connection that breaks before the broker has them."""

import time
from asyncio import Future
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from msgspec import UNSET

from transports.mqtt.link.link import Receipt
from transports.mqtt.protocol.frames import CancelFrame

MAX_OWED = 256
"""Cancels that wait for one worker, and workers for which cancels wait: the oldest are dropped."""

SEEK_S = 60.0
"""Seconds for which a worker keeps a reply without a gateway: then it stops by itself."""

Send = Callable[[str, CancelFrame], Future[Receipt] | None]
"""Sends a frame to the worker of this name; returns None if that is not possible."""


@dataclass(slots=True)
class _Sought:
    """A cancel of a request whose worker is unknown. told: the workers that have got it."""

    epoch: int
    until: float
    told: set[str] = field(default_factory=set)


class Cancels:
    """Sends each cancel again when its worker announces itself, until a broker has it for a worker that is
    there. clock: seconds, monotonic."""

    def __init__(self, send: Send, clock: Callable[[], float] = time.monotonic) -> None:
        self._send_frame = send
        self._clock = clock
        self._owed: dict[str, dict[str, int]] = {}
        self._sought: dict[str, _Sought] = {}

    def send(self, worker: str, attempt_id: str, epoch: int = 0, *, is_here: bool = True) -> None:
        """Send a cancel.

        Args:
            worker: its name.
            attempt_id: of the request.
            epoch: see CancelFrame.
            is_here: False if the worker is away: it gets the cancel when it is back, too.
        """
        receipt = self._send_frame(worker, CancelFrame(attempt_id, epoch=epoch or UNSET))
        if not is_here:
            self._owe(worker, attempt_id, epoch)
        elif receipt is not None:
            receipt.add_done_callback(partial(self._sent, worker, attempt_id, epoch))

    def send_to_all(self, workers: Iterable[str], attempt_id: str, epoch: int) -> None:
        """Send a cancel to these workers, and to those that announce themselves within SEEK_S: it is unknown
        which one has the request."""
        if len(self._sought) >= MAX_OWED:
            self._sought.pop(next(iter(self._sought)))
        self._sought[attempt_id] = _Sought(epoch, self._clock() + SEEK_S)
        for worker in workers:
            self._seek(worker)

    def worker_is_back(self, worker: str, *, keeps: bool = True) -> None:
        """The worker has announced itself. keeps: see Status.keep."""
        for attempt_id, epoch in self._owed.pop(worker, {}).items():
            self.send(worker, attempt_id, epoch)
        if keeps:
            self._seek(worker)

    def _seek(self, worker: str) -> None:
        for attempt_id, sought in list(self._sought.items()):
            if sought.until <= self._clock():
                del self._sought[attempt_id]
            elif worker not in sought.told:
                sought.told.add(worker)
                self.send(worker, attempt_id, sought.epoch)

    def _sent(self, worker: str, attempt_id: str, epoch: int, receipt: Future[Receipt]) -> None:
        if not receipt.cancelled() and receipt.result() in (Receipt.LOST, Receipt.NOBODY):
            self._owe(worker, attempt_id, epoch)

    def _owe(self, worker: str, attempt_id: str, epoch: int) -> None:
        owed = self._owed[worker] = self._owed.pop(worker, {})
        owed[attempt_id] = epoch
        for waiting in (owed, self._owed):
            if len(waiting) > MAX_OWED:
                del waiting[next(iter(waiting))]
