"""The requests that a worker has taken: starts, stops and counts them."""

import asyncio
from asyncio import TaskGroup
from collections import OrderedDict
from collections.abc import Callable

from gateway.contract.errors import GatewayError, WorkerLost
from gateway.contract.transport import Transport
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Link
from transports.mqtt.protocol.error_frames import error_frame
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import (
    CancelFrame,
    EmbedFrame,
    ErrorFrame,
    ForgetFrame,
    RequestFrame,
    ResumeFrame,
    epoch_of,
)
from transports.mqtt.worker.frame_sender import FrameSender
from transports.mqtt.worker.gateways import GatewayWatch
from transports.mqtt.worker.job import NewWriter, ServedRequest
from transports.mqtt.worker.kept_replies import KEEP_BYTES, KEEP_REPLY_BYTES, KeptReplies
from transports.mqtt.worker.kept_reply import KeptReply

REMEMBERED_IDS = 1_000
MAX_STRANGERS = 256
"""Cancels of unknown requests, from the start on, that are passed on to the model servers."""


class RunningRequests:
    """Runs requests on `transport`, and answers them over `link`.

    Args:
        transport: makes the replies.
        link: to the broker.
        new_writer: see NewWriter.
        dropped: counts messages that were not used or sent.
        gateways: the incarnations of the gateways.
        changed: called when the number of requests has changed, with it before and after.
        keep_bytes, keep_reply_bytes: see KeptReplies; 0: every reply ends with its gateway.
    """

    def __init__(
        self,
        transport: Transport,
        link: Link,
        new_writer: NewWriter,
        dropped: Dropped,
        gateways: GatewayWatch,
        changed: Callable[[int, int], None],
        *,
        keep_bytes: int = KEEP_BYTES,
        keep_reply_bytes: int = KEEP_REPLY_BYTES,
    ) -> None:
        self._transport = transport
        self._link = link
        self._new_writer = new_writer
        self._dropped = dropped
        self._gateways = gateways
        self._changed = changed
        self.keeps = keep_bytes > 0
        self._kept = KeptReplies(
            link,
            self._nobody_wants,
            dropped,
            asyncio.get_running_loop(),
            max_bytes=keep_bytes,
            max_reply_bytes=keep_reply_bytes,
        )
        self._jobs: dict[str, ServedRequest] = {}
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._strangers = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._jobs)

    async def idle(self) -> None:
        """Wait until no request is running."""
        await self._idle.wait()

    async def settled(self) -> None:
        """Wait until no request is running, and gateways have stored all replies that are kept for them."""
        await self._idle.wait()
        await self._kept.none_ended()

    def is_new(self, id: str) -> bool:
        """Remember the id. False if it was seen before: QoS 1 may repeat a request, even after its cancel.

        A running or kept one is known longer than REMEMBERED_IDS others.
        """
        if id in self._remembered or id in self._jobs or id in self._kept:
            self._dropped["repeated request"] += 1
            return False
        self._remembered[id] = None
        if len(self._remembered) > REMEMBERED_IDS:
            self._remembered.popitem(last=False)
        return True

    def start(self, request: RequestFrame | EmbedFrame, gateway: str, tasks: TaskGroup) -> None:
        queue = self._transport.abilities.place_in_queue(request.model)
        job = ServedRequest(request, gateway, self._new_sender(request, gateway))
        self._jobs[request.id] = job
        self._idle.clear()
        self._changed(len(self) - 1, len(self))
        job.task = tasks.create_task(job.work(self._transport, self._new_writer, queue))
        job.task.add_done_callback(lambda _: self._ended(job))

    def refuse(self, request: RequestFrame | EmbedFrame, error: GatewayError) -> None:
        self._say(FrameSender(self._link, request.reply_to), error_frame(request.id, error))

    def cancel(self, frame: CancelFrame) -> None:
        if self._kept.is_overtaken(frame):
            self._dropped["overtaken"] += 1
            return
        job = self._jobs.get(frame.id)
        if job is not None:
            job.stop(ErrorFrame(frame.id, "cancelled", "stopped as asked"))
            return
        if frame.id not in self._remembered:
            self.is_new(frame.id)
            self._stop_of_an_earlier_start(frame)
        self._kept.forget(ForgetFrame(frame.id, epoch_of(frame)))

    def resume(self, frame: ResumeFrame, gateway: str) -> None:
        """Send a kept reply's frames to the gateway, from the first one on."""
        incarnation = frame.incarnation or self._gateways.incarnation_of(gateway)
        self._kept.resume(frame, gateway, incarnation)

    def forget(self, frame: ForgetFrame) -> None:
        """Drop a kept reply's frames; stop it if it is running."""
        self._kept.forget(frame)

    def gateway_gone(self, name: str, incarnation: int | None) -> None:
        """The gateway was lost, or started anew as this incarnation."""
        self._kept.gateway_gone(name, incarnation)
        self._stop_all("the gateway went away", lambda job: job.gateway == name and not job.outlives)

    def broker_lost(self) -> None:
        # Every gateway ends the others: by our will, or because it lost the broker too.
        self._kept.detach_all()
        self._stop_all("the worker lost the broker", lambda job: not job.outlives)

    def stop_all(self) -> None:
        """The worker stops."""
        self._stop_all("the worker is going away", lambda _: True)

    def close(self) -> None:
        """Stop the timers of kept replies."""
        self._kept.close()

    def _stop_of_an_earlier_start(self, frame: CancelFrame) -> None:
        """Stop what a model server still generates for a start of this worker that was killed."""
        if self._strangers < MAX_STRANGERS:
            self._strangers += 1
            self._transport.abilities.stop({"conversation_id": frame.id}, epoch_of(frame))

    def _stop_all(self, why: str, chosen: Callable[[ServedRequest], bool]) -> None:
        for job in list(self._jobs.values()):
            if chosen(job):
                job.fail(WorkerLost(why))

    def _new_sender(self, request: RequestFrame | EmbedFrame, gateway: str) -> FrameSender:
        if isinstance(request, RequestFrame) and request.keep_s and self.keeps:
            return self._kept.begin(request, gateway, self._gateways.incarnation_of(gateway))
        return FrameSender(self._link, request.reply_to)

    def _nobody_wants(self, id: str) -> None:
        if job := self._jobs.get(id):
            job.fail(WorkerLost("no gateway receives the reply"))

    def _ended(self, job: ServedRequest) -> None:
        del self._jobs[job.request.id]
        self._changed(len(self) + 1, len(self))
        if not self._jobs:
            self._idle.set()
        if job.stopped is not None and not job.answered:
            self._say(job.sender, job.stopped)
        if isinstance(job.sender, KeptReply):
            self._kept.ended(job.sender, keep=job.stopped is None or job.answered)

    def _say(self, sender: FrameSender, error: ErrorFrame) -> None:
        try:
            sender.send(encode(error))
        except GatewayError as refused:  # too many messages wait for the broker
            self._dropped.drop("unsaid", sender.topic, refused)
