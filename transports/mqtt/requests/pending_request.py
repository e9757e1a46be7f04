"""One reply, from the queue to its last frame, with further attempts until something is visible."""

import asyncio
from asyncio import Future, TimerHandle
from collections.abc import Sequence
from functools import partial
from typing import Any

from gateway.contract.accepted_kinds import kinds_of
from gateway.contract.content import Need
from gateway.contract.crashing_requests import ask_again
from gateway.contract.embeddings import EmbedRequest
from gateway.contract.errors import (
    FrameGap,
    GatewayError,
    NoWorker,
    Overloaded,
    ProtocolViolation,
    TimedOut,
    TransportError,
    UpstreamFailed,
    WorkerLost,
)
from gateway.contract.events import Progress, TransportEvent
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear
from transports.mqtt.clock import Clock
from transports.mqtt.link.link import Receipt
from transports.mqtt.protocol.error_frames import error_said
from transports.mqtt.protocol.frames import ChunkFrame, ErrorFrame, ReplyFrame
from transports.mqtt.requests.frame_order import HOLE_S, Attempt
from transports.mqtt.requests.open_requests import OpenRequests
from transports.mqtt.requests.presence import KnownWorker

EARLY_S = 0.25
"""Seconds. A cancellation so shortly before the deadline counts as the deadline: the core has the same one
and started a little earlier."""
MIN_DEADLINE_S = 0.001

EMBEDDINGS: frozenset[Need] = frozenset({"embeddings"})


class PendingRequest:
    """Pushes the events of one reply to `hear`, from inside the MQTT reader.

    All methods except `answer` are plain functions. One timer serves all deadlines.
    """

    def __init__(
        self, request: ChatRequest | EmbedRequest, hear: Hear, requests: OpenRequests, clock: Clock
    ) -> None:
        self.asked_at = clock.time()
        self.tried: set[KnownWorker] = set()
        self.needs: frozenset[Need] = EMBEDDINGS if isinstance(request, EmbedRequest) else kinds_of(request)
        self._request = request
        self._broke_off_before = request.broke_off
        self._hear = hear
        self._requests = requests
        self._clock = clock
        self._deadline_at = self.asked_at + request.deadline_s
        self.done: Future[Any] = asyncio.get_running_loop().create_future()
        self._attempt: Attempt | None = None
        self._visible = False
        self._timer: TimerHandle | None = None

    @property
    def model(self) -> str | None:
        return self._request.model

    @property
    def worker(self) -> KnownWorker | None:
        """The worker of the current attempt, if any."""
        return self._attempt.worker if self._attempt is not None else None

    async def answer(self) -> Any:
        """Return the reply's Done when it is complete, or the Embeddings of an EmbedRequest.

        Cancelling stops the worker. Raises as `start` does.
        """
        try:
            self.start()
            return await self.done
        finally:
            self.leave()

    def start(self) -> None:
        """Request a worker.

        Raises Overloaded if too many requests wait; TooLarge or Unprocessable if the request cannot be sent.
        """
        self._requests.dispatch.enter(self)
        if self.done.done():
            self.done.result()
        self._arm()

    def leave(self) -> None:
        """End this reply; send a cancel to a worker that still has it. Does nothing after the end."""
        attempt = self._attempt
        if attempt is not None and not attempt.visible and self._clock.time() >= self._deadline_at - EARLY_S:
            self._blame(attempt)
        self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._requests.dispatch.leave(self)
        self._end_attempt()

    def assigned(self, worker: KnownWorker) -> None:
        attempt_id, now = self._new_id(worker), self._clock.time()
        try:
            left_s = max(MIN_DEADLINE_S, self._deadline_at - now)
            receipt = self._requests.send_request(self._request, worker, attempt_id, left_s)
        except GatewayError as error:
            self._fail(error)
            self._requests.dispatch.release(worker)
            return
        self._attempt = attempt = self._new_attempt(attempt_id, worker, now)
        self._requests.open[attempt_id] = self
        receipt.add_done_callback(partial(self._published, attempt))
        self._arm()

    def _new_id(self, worker: KnownWorker) -> str:
        return self._requests.new_id()

    def _new_attempt(self, id: str, worker: KnownWorker, now: float) -> Attempt:
        return Attempt(id, worker, model=worker.serves(self.model), now=now)

    def waits_at(self, position: int) -> None:
        self._push([Progress("queued", position=position)])

    def is_stranded(self, why: str) -> None:
        self._fail(NoWorker(why, retry_after_s=5))

    def take(self, sender: str, frame: ReplyFrame, size: int) -> bool:
        """Take a frame of `size` bytes with the attempt's id. False if `sender` is not its worker."""
        attempt = self._attempt
        if attempt is None or attempt.worker.name != sender:
            return False
        if not isinstance(frame, ChunkFrame) and isinstance(frame, ErrorFrame):  # as in Attempt.take
            attempt.ended = True
            self._refused(attempt.worker, error_said(frame))
            return True
        first = attempt.heard_at is None
        failure: GatewayError | None = None
        try:
            attempt.take(frame, size, self._clock.time())
        except GatewayError as error:
            failure = error
        if attempt.visible:
            self._visible = True
        if attempt.events:
            events, attempt.events = attempt.events, []
            self._push(events)
        if failure is not None:
            self.reject(failure)
        elif attempt.done is not None:
            attempt.worker.record.answered()
            self._close()
            if not self.done.done():
                self.done.set_result(attempt.done)
        elif first or attempt.hole_since is not None:
            self._arm()
        return True

    def _push(self, events: Sequence[TransportEvent]) -> None:
        if self.done.done():
            return
        try:
            self._hear(events)
        except Exception as error:  # noqa: BLE001 - the MQTT reader called this: `answer` raises the error
            self._fail(error)

    def reject(self, error: GatewayError) -> None:
        """End the reply: its worker sent an invalid frame, or frames are missing."""
        if self._attempt is not None and isinstance(error, ProtocolViolation | FrameGap | TimedOut):
            self._blame(self._attempt)
        self._fail(error)

    def worker_lost(self, why: str) -> None:
        """The attempt's worker is lost. The request may be the cause, if the worker had received it."""
        error = WorkerLost(why)
        if self._attempt is not None and self._attempt.is_taken:
            error.broke_off = 1
        self._retry_after(error)

    def broker_lost(self, why: str) -> None:
        """The broker is lost: no more frames will arrive. The request is not the cause."""
        self._retry_after(WorkerLost(why))

    def _published(self, attempt: Attempt, receipt: Future[Receipt]) -> None:
        if attempt is not self._attempt:
            return
        if receipt.result() is Receipt.NOBODY:
            self._blame(attempt)
            self._retry()
        elif receipt.result() is Receipt.REFUSED:
            forbidden = f"the MQTT broker lets no request through to {attempt.worker.name}"
            self._refused(attempt.worker, UpstreamFailed(forbidden))

    def _refused(self, worker: KnownWorker, error: GatewayError) -> None:
        """The worker sent `error`. Try another one if nothing is visible yet."""
        if self._is_over_after(error):
            return
        if isinstance(error, Overloaded | WorkerLost) and worker.status.heartbeat_s is not None:
            worker.full = True
            self._retry()
        else:
            self.tried.add(worker)
            if self._requests.dispatch.has_untried(self):
                self._retry()
            else:
                self._fail(error)

    def _blame(self, attempt: Attempt) -> None:
        self._requests.dispatch.failed(attempt.worker, self._clock.time())

    def _retry_after(self, error: TransportError) -> None:
        if not self._is_over_after(error):
            self._retry()

    def _is_over_after(self, error: GatewayError) -> bool:
        """Fail the reply if no other worker may get the request after `error`. True if it failed."""
        if self._visible or not error.retryable or not isinstance(error, TransportError):
            self._fail(error)
            return True
        try:
            self._request = ask_again(self._request, error)
        except TransportError as last:
            self._fail(last)
            return True
        return False

    def _retry(self) -> None:
        self._end_attempt()
        dispatch, asked = self._requests.dispatch, self._request
        if isinstance(asked, ChatRequest) and not dispatch.is_any_ready(self.model) and asked.other_answers():
            self.is_stranded("no MQTT worker is ready any more")
            return
        dispatch.enter(self, again=True)
        self._arm()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, TransportError):
            error.broke_off = max(error.broke_off, self._request.broke_off - self._broke_off_before)
        self._close()
        if not self.done.done():
            self.done.set_exception(error)

    def _end_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        del self._requests.open[attempt.id]
        worker = attempt.worker
        if not attempt.ended:
            self._cancel(attempt)
        self._requests.dispatch.release(worker)

    def _cancel(self, attempt: Attempt) -> None:
        # Also to a lost worker: it may only be disconnected, or another client published `lost`.
        self._requests.cancels.send(attempt.worker.name, attempt.id, is_here=not attempt.worker.lost)

    def _due(self) -> float:
        """Return the time at which the reply fails or is tried again, if no frame arrives."""
        if self._attempt is None:
            return self._deadline_at
        return min(self._deadline_at, self._attempt.due(self._requests.idle_s))

    def _arm(self) -> None:
        """Set the timer to the due time. It may fire early: a frame that postpones the due costs nothing."""
        if self.done.done():
            return
        due = self._due()
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._clock.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._clock.time()
        attempt = self._attempt
        if now < self._due():
            self._arm()
        elif attempt is None or now >= self._deadline_at:
            if attempt is not None and not attempt.visible:
                self._blame(attempt)
            self._fail(TimedOut(f"no whole reply within {self._request.deadline_s:g} s"))
        elif attempt.heard_at is None:
            self._blame(attempt)
            self._retry()
        elif attempt.hole_since is not None and now >= attempt.hole_since + HOLE_S:
            self.reject(FrameGap("a frame of the reply is missing"))
        else:
            silence = TimedOut(f"the worker was silent for {self._requests.idle_s:g} s")
            silence.broke_off = 1
            self.reject(silence)
