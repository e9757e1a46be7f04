"""Cancels for workers, which may be away, or behind a connection that breaks before the broker has them."""

from asyncio import Future
from collections.abc import Callable
from functools import partial

from msgspec import UNSET

from transports.mqtt.link.link import Receipt
from transports.mqtt.protocol.frames import CancelFrame

MAX_OWED = 256
"""Cancels that wait for one worker, and workers for which cancels wait."""

Send = Callable[[str, CancelFrame], Future[Receipt] | None]
"""Sends a frame to the worker of this name; returns None if that is not possible."""


class Cancels:
    """Sends each cancel again when its worker announces itself, until a broker has it for a worker that is
    there."""

    def __init__(self, send: Send) -> None:
        self._send_frame = send
        self._owed: dict[str, dict[str, int]] = {}

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

    def worker_is_back(self, worker: str) -> None:
        """The worker has announced itself."""
        for attempt_id, epoch in self._owed.pop(worker, {}).items():
            self.send(worker, attempt_id, epoch)

    def _sent(self, worker: str, attempt_id: str, epoch: int, receipt: Future[Receipt]) -> None:
        if not receipt.cancelled() and receipt.result() in (Receipt.LOST, Receipt.NOBODY):
            self._owe(worker, attempt_id, epoch)

    def _owe(self, worker: str, attempt_id: str, epoch: int) -> None:
        if worker in self._owed or len(self._owed) < MAX_OWED:
            owed = self._owed.setdefault(worker, {})
            if len(owed) < MAX_OWED:
                owed[attempt_id] = epoch
