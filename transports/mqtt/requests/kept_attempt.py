"""One attempt at a worker that keeps the reply, so that its frames can be asked for again."""

from gateway.contract.errors import FrameGap, GatewayError, ProtocolViolation, TimedOut
from gateway.contract.reattach import Handle, Reattachable
from transports.mqtt.protocol.frames import AcceptFrame, Numbered, VectorsFrame, Whole, epoch_of
from transports.mqtt.requests.frame_order import Attempt
from transports.mqtt.requests.presence import KnownWorker

MAX_REPETITIONS = 5
"""Of all frames of a reply, after lost ones: each time the broker has to take all of them again."""


class KeptAttempt(Attempt):
    """As Attempt. While it waits for the worker, it ignores all frames until the `accept` of its resume:
    frames from before look like a gap.

    reattachable: see ChatRequest.
    epoch: number of times that the reply was taken over.
    incarnation: of the worker.
    resume_by: time until which the worker may accept the resume; None while frames arrive.
    was_live: it was certainly there when it got the resume.
    """

    __slots__ = ("_asked_at", "_times", "epoch", "incarnation", "reattachable", "resume_by", "was_live")

    def __init__(
        self,
        id: str,
        worker: KnownWorker,
        *,
        model: str | None,
        now: float,
        reattachable: Reattachable,
        epoch: int = 0,
    ) -> None:
        super().__init__(id, worker, model=model, now=now)
        self.reattachable = reattachable
        self.epoch = epoch
        self.incarnation = worker.status.incarnation
        self.resume_by: float | None = None
        self.was_live = False
        self._asked_at: int | None = None
        self._times = 0

    @property
    def handle(self) -> Handle:
        return {
            "conversation_id": self.reattachable.conversation_id,
            "worker": self.worker.name,
            "incarnation": self.incarnation,
            "request": self.id,
            "model": self._model,
        }

    def wait(self, until: float) -> None:
        """Frames were lost: wait for the worker. Frames that came early are sent again."""
        self.resume_by = max(until, self.resume_by or until)
        self.was_live = False
        self._early.clear()
        self.hole_since = None

    def wait_no_longer_than(self, until: float) -> None:
        """Shorten the wait."""
        self.resume_by = min(until, self.resume_by or until)

    def lacks_frames(self, error: GatewayError) -> bool:
        """Return True if the worker may have frames that would prevent this error."""
        if isinstance(error, FrameGap):
            return self.hole_since is not None  # else it sent a wrong length
        return isinstance(error, TimedOut | ProtocolViolation)

    def may_ask_again(self) -> bool:
        """Return True if lost frames may be asked for: never twice for the same one."""
        if self._asked_at == self._next or self._times == MAX_REPETITIONS:
            return False
        self._asked_at = self._next
        self._times += 1
        return True

    def due(self, idle_s: float) -> float:
        return super().due(idle_s) if self.resume_by is None else self.resume_by

    def take(self, frame: Numbered | Whole | VectorsFrame, size: int, now: float) -> None:
        """As Attempt. The first frame stores the handle, and ends a wait."""
        if self.resume_by is not None:
            if not isinstance(frame, AcceptFrame) or epoch_of(frame) != self.epoch:
                return
            self.resume_by = None
        if self.heard_at is None and self.epoch == 0:  # else it is stored
            self.reattachable.keep_handle(self.handle)
        super().take(frame, size, now)
