"""Replies that go on after a lost connection, because their worker keeps them."""

from gateway.contract.errors import ContextExceeded, GatewayError, WorkerLost
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear
from transports.mqtt.clock import Clock
from transports.mqtt.protocol.frames import ErrorFrame, ReplyFrame
from transports.mqtt.requests.frame_order import Attempt
from transports.mqtt.requests.kept_attempt import KeptAttempt
from transports.mqtt.requests.open_requests import OpenRequests, keep_s_of
from transports.mqtt.requests.pending_request import PendingRequest
from transports.mqtt.requests.presence import KnownWorker

BROKER_BACK_S = 10.0
"""Seconds for the worker to be back after the gateway has found the broker again, or to send frames again."""
WORKER_BACK_S = 3.0
"""Seconds for a lost worker: it is back soon if it lost only its connection. It sends a frame at least every
idle_s/3. If it was silent for longer, its network has failed: it is waited for while it keeps the reply."""
REFUSALS = ("unknown", "gone")


class KeptRequest(PendingRequest):
    """As PendingRequest. If the worker keeps the reply, a lost connection makes it wait for the worker, and
    ask for all frames again; lost frames make it ask at once."""

    def __init__(self, request: ChatRequest, hear: Hear, requests: OpenRequests, clock: Clock) -> None:
        super().__init__(request, hear, requests, clock)
        self._chat = request
        self._lost: GatewayError | None = None
        self._stored_id = "" if request.reattachable is None else request.reattachable.conversation_id

    def worker_is_back(self, worker: KnownWorker, *, is_live: bool = False) -> None:
        """The worker for which this reply waits has announced itself. It is asked once while it stays, since
        it announces each change, and sends all frames again each time that it is asked.

        is_live: False for a retained status: the worker may be away, and is asked again when it is not.
        """
        attempt = self._waiting
        if attempt is None:
            return
        if worker.status.incarnation > attempt.incarnation:
            self._give_up("the worker has started anew")
        elif worker.status.incarnation == attempt.incarnation:
            if attempt.worker is worker and (attempt.was_live or not is_live):
                return
            attempt.was_live = is_live
            self._requests.dispatch.move(attempt.worker, worker)
            attempt.worker = worker
            self._requests.send_resume(worker, attempt.id, attempt.epoch)

    def worker_lost(self, why: str) -> None:
        if self._waiting is not None:  # its status alone does not prolong that
            return
        seconds = max(WORKER_BACK_S, self._left_after_silence())
        if not (self._visible and self._wait(seconds)):
            super().worker_lost(why)

    def broker_lost(self, why: str) -> None:
        attempt, seconds = self._attempt, BROKER_BACK_S
        if isinstance(attempt, KeptAttempt) and attempt.heard_at is not None:
            seconds = attempt.reattachable.keep_s
        if not self._wait(seconds):
            super().broker_lost(why)

    def broker_is_back(self) -> None:
        """The worker is back soon too, if it has not died meanwhile."""
        if (attempt := self._waiting) is not None and attempt.heard_at is not None:
            attempt.wait_no_longer_than(self._clock.time() + BROKER_BACK_S)
            self._arm()

    def take(self, sender: str, frame: ReplyFrame, size: int) -> bool:
        attempt = self._waiting
        if attempt is not None and attempt.worker.name == sender and isinstance(frame, ErrorFrame):
            if frame.code in REFUSALS:  # others are among the frames that will be sent again
                attempt.ended = True
                self._give_up(frame.message or frame.code)
            return True
        taken = super().take(sender, frame, size)
        if attempt is not None and attempt.resume_by is None:
            self._requests.waits_no_more(attempt.worker.name, self)
        return taken

    def reject(self, error: GatewayError) -> None:
        attempt = self._attempt
        if self._waiting is not None:  # no frame counts yet
            return
        left_s = self._left_after_silence()
        if (
            isinstance(attempt, KeptAttempt)
            and attempt.lacks_frames(error)
            and attempt.may_ask_again()
            and self._wait(max(BROKER_BACK_S, left_s))
        ):
            self._lost, attempt.was_live = error, not left_s
            self._requests.send_resume(attempt.worker, attempt.id, attempt.epoch)
        else:
            super().reject(error)

    def _left_after_silence(self) -> float:
        """Return the seconds for which a worker that was silent may be back: not it, but its network may have
        failed. 0 if it was not silent: then it was killed, or is back soon."""
        attempt = self._attempt
        if not isinstance(attempt, KeptAttempt) or attempt.heard_at is None:
            return 0.0
        silent_s = self._clock.time() - attempt.heard_at
        return attempt.reattachable.keep_s - silent_s if silent_s >= self._requests.idle_s / 2 else 0.0

    @property
    def _waiting(self) -> KeptAttempt | None:
        attempt = self._attempt
        return attempt if isinstance(attempt, KeptAttempt) and attempt.resume_by is not None else None

    def _wait(self, seconds: float) -> bool:
        """Wait for the worker. It may have the request although no `accept` of it came: one that has not says
        so, and then another one is asked. False if the worker does not keep the reply, or nobody has seen
        any of it and another transport would answer."""
        attempt = self._attempt
        if not isinstance(attempt, KeptAttempt) or (not self._visible and self._chat.other_answers()):
            return False
        self._lost = None
        attempt.wait(self._clock.time() + seconds)
        self._requests.waits_for(attempt.worker.name, self)
        self._arm()
        return True

    def _refused(self, worker: KnownWorker, error: GatewayError) -> None:
        attempt = self._attempt
        super()._refused(worker, error)
        if isinstance(error, ContextExceeded) and isinstance(attempt, KeptAttempt):
            # A shorter request may follow, under another id: nobody will forget this one.
            self._requests.send_forget(worker.name, attempt.id, attempt.epoch)

    def _give_up(self, why: str) -> None:
        if self._lost is not None:
            super().reject(self._lost)
        else:
            self._retry_after(WorkerLost(why))

    def _new_id(self, worker: KnownWorker) -> str:
        """Return the id that was stored with the question, or at the last retry, if the worker keeps replies.
        If this gateway dies before the worker is stored too, the next owner asks all workers for it."""
        id = self._stored_id
        if not id or id in self._requests.open or not keep_s_of(self._chat, worker):
            return super()._new_id(worker)
        self._stored_id = ""
        return id

    def _retry(self) -> None:
        """Send the request again when the next attempt's id is stored."""
        attempt = self._attempt
        if isinstance(attempt, KeptAttempt) and attempt.ended and attempt.heard_at is not None:
            self._requests.send_forget(attempt.worker.name, attempt.id, attempt.epoch)
        reattachable = self._chat.reattachable
        if reattachable is None or self._stored_id:
            super()._retry()
        else:
            self._end_attempt()
            self._arm()
            reattachable.renew(self._retry_as)

    def _retry_as(self, id: str) -> None:
        if not self.done.done():
            self._stored_id = id
            super()._retry()

    def _new_attempt(self, id: str, worker: KnownWorker, now: float) -> Attempt:
        reattachable = self._chat.reattachable
        if reattachable is None or not keep_s_of(self._chat, worker):
            return super()._new_attempt(id, worker, now)
        model = worker.serves(self.model)
        return KeptAttempt(id, worker, model=model, now=now, reattachable=reattachable)

    def _ring(self) -> None:
        attempt, now = self._waiting, self._clock.time()
        if attempt is not None and attempt.due(0) <= now < self._deadline_at:
            self._timer = None
            self._give_up("the worker did not come back")
        else:
            super()._ring()

    def _cancel(self, attempt: Attempt) -> None:
        if not isinstance(attempt, KeptAttempt):
            super()._cancel(attempt)
        elif not attempt.reattachable.is_left():
            worker = attempt.worker
            self._requests.cancels.send(worker.name, attempt.id, attempt.epoch, is_here=not worker.lost)

    def _end_attempt(self) -> None:
        if self._attempt is not None:
            self._requests.waits_no_more(self._attempt.worker.name, self)
        super()._end_attempt()
