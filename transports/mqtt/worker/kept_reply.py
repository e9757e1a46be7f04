"""One reply whose frames the worker keeps, so that it outlives its gateway."""

from asyncio import Future, TimerHandle
from collections.abc import Callable

from gateway.contract.errors import GatewayError, Overloaded
from transports.mqtt.clock import Clock
from transports.mqtt.link.link import Envelope, Link, Receipt
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import AcceptFrame, RequestFrame
from transports.mqtt.worker.frame_sender import UNANSWERED_MAX, FrameSender

FULL_LINK_S = 0.1
"""Pause before the next frame when too many messages wait for the broker."""


class KeptReply(FrameSender):
    """Sends frames while a gateway gets them, and keeps all of them.

    The frames are kept encoded, since coalescing cannot be repeated. The first is the `accept`.

    id: of the request.
    gateway, incarnation: get the frames, or were the last who did. incarnation 0: unknown.
    epoch: of the last `resume`; 0 before the first.
    ended: the last frame is among the frames.
    frames: None if they were dropped; then the reply ends with its gateway.

    Args:
        link: to the broker.
        request: asked for the reply.
        gateway: its name.
        incarnation: of the gateway.
        grew: called with the bytes that each new frame takes.
        abandoned: called when no gateway has resumed the reply for `keep_s`, or none can get it.
        clock: of the timers.
    """

    def __init__(
        self,
        link: Link,
        request: RequestFrame,
        gateway: str,
        incarnation: int,
        *,
        grew: Callable[["KeptReply", int], None],
        abandoned: Callable[["KeptReply"], None],
        clock: Clock,
    ) -> None:
        super().__init__(link, request.reply_to)
        self.id = request.id
        self.gateway = gateway
        self.incarnation = incarnation
        self.epoch = 0
        self.ended = False
        self.frames: list[bytes] | None = []
        self._grew = grew
        self._abandoned = abandoned
        self._keep_s = request.keep_s
        self._clock = clock
        self._attached = True
        self._next: int | None = None
        """Index of the next frame to send again; None if frames are sent as they are made."""
        self._in_flight = 0
        self._timer: TimerHandle | None = None
        self._pause: TimerHandle | None = None

    @property
    def attached(self) -> bool:
        return self._attached

    @property
    def is_behind(self) -> bool:
        """True if a gateway is getting earlier frames again."""
        return self._attached and self._next is not None

    def send(self, payload: bytes, envelope: Envelope | None = None) -> None:
        """Keep one frame, and send it if a gateway has all frames before it. Raises as FrameSender does."""
        if self.frames is not None:
            self.frames.append(payload)
            self._grew(self, len(payload))
        if self._attached and self._next is None:
            super().send(payload, envelope)

    @property
    def has_receipts(self) -> bool:
        return self._attached and self._next is None and super().has_receipts

    async def written(self, at_most: int = UNANSWERED_MAX) -> bool:
        """As FrameSender. A lost connection loses none of the kept frames."""
        return await super().written(at_most) or self.frames is not None

    def attach(self, topic: str, gateway: str, incarnation: int, epoch: int) -> None:
        """Send all frames to a gateway, then new ones as they are made."""
        self.topic, self.gateway, self.incarnation, self.epoch = topic, gateway, incarnation, epoch
        if self.frames is not None:
            self.frames[:1] = [encode(AcceptFrame(self.id, epoch=epoch))]
        self._attached = True
        self._unanswered.clear()
        if not self.ended:
            self._stop_timer()
        self._next = 0
        self._pump()

    def detach(self) -> None:
        """No gateway gets the frames any more, for now."""
        if not self._attached:
            return
        self._attached = False
        self._next = None
        self._unanswered.clear()
        if not self.ended:
            self._wait()

    def end(self) -> None:
        """The last frame was made."""
        self.ended = True
        self._wait()

    def close(self) -> None:
        """Stop the timers, and send nothing more."""
        self._attached = False
        self._stop_timer()
        if self._pause is not None:
            self._pause.cancel()

    def _wait(self) -> None:
        self._stop_timer()
        self._timer = self._clock.call_at(self._clock.time() + self._keep_s, lambda: self._abandoned(self))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _pump(self) -> None:
        """Send kept frames again, as many as may be unacknowledged."""
        while self._attached and self._next is not None and self._in_flight < UNANSWERED_MAX:
            if self.frames is None or self._next >= len(self.frames):
                self._next = None
                return
            try:
                receipt = self._link.publish(self.topic, self.frames[self._next])
            except Overloaded:
                self._pause = self._clock.call_at(self._clock.time() + FULL_LINK_S, self._pump)
                return
            except GatewayError:  # the broker takes only smaller messages than before
                self._abandoned(self)
                return
            self._next += 1
            self._in_flight += 1
            receipt.add_done_callback(self._acknowledged)

    def _acknowledged(self, receipt: Future[Receipt]) -> None:
        self._in_flight -= 1
        if receipt.result() is Receipt.LOST:
            self.detach()
        self._pump()
