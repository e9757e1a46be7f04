"""The worker: serves any Transport to gateways over an MQTT broker."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal

from gateway.contract.errors import GatewayError, Overloaded, ProtocolViolation, Unreachable, WorkerLost
from gateway.contract.transport import Transport
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Link, Will
from transports.mqtt.link.name_check import FORBIDDEN_NAME, NameCheck
from transports.mqtt.protocol.error_frames import error_frame
from transports.mqtt.protocol.frame_codec import decode_inbox, decode_status, encode
from transports.mqtt.protocol.frames import (
    CancelFrame,
    EmbedFrame,
    ErrorFrame,
    Frame,
    RequestFrame,
    Status,
)
from transports.mqtt.protocol.topics import (
    checked_root,
    every_gateway_status,
    gateway_to_answer,
    inbox_topic,
    status_sender,
    worker_status_topic,
)
from transports.mqtt.status_announcer import Announcer
from transports.mqtt.worker.gateways import GatewayWatch
from transports.mqtt.worker.job import ServedRequest
from transports.mqtt.worker.reply_writer import ReplyWriter

log = logging.getLogger(__name__)

GOODBYE_S = 1.0
REMEMBERED_IDS = 1_000


class Worker:
    """Takes requests from its inbox, runs them on `transport` and writes the replies.

    dropped: messages that could not be used or sent, by kind.

    Args:
        link: run only by this worker; its client id is the worker's name.
        max_concurrent: further requests are refused as overloaded, because the gateways know other workers.
        models: models to announce; by default those of the transport.
        accept_s: every request is accepted or refused within it, in seconds.
        coalesce_s, coalesce_bytes: see ReplyWriter.
        gateway_grace_s: seconds that a gateway may be gone before its replies are stopped.
        incarnation: must grow with every start; by default the wall clock's milliseconds.
        forbidden_name: see NameCheck.
        by_name: get only requests that name one of the models.
    """

    def __init__(
        self,
        transport: Transport,
        link: Link,
        *,
        root: str = "sluice/v1",
        max_concurrent: int = 8,
        models: Sequence[str] | None = None,
        accept_s: float = 2.0,
        heartbeat_s: float = 10.0,
        coalesce_s: float = 0.05,
        coalesce_bytes: int = 512,
        gateway_grace_s: float = 5.0,
        incarnation: int | None = None,
        forbidden_name: str = FORBIDDEN_NAME,
        by_name: bool = False,
    ) -> None:
        self._by_name = by_name
        self._transport = transport
        self._link = link
        self._root = checked_root(root)
        self._name = link.client_id
        self._max_concurrent = max_concurrent
        self._models = models
        self._accept_s = accept_s
        self._heartbeat_s = heartbeat_s
        self._new_writer = partial(ReplyWriter, link, coalesce_s=coalesce_s, coalesce_bytes=coalesce_bytes)
        self._incarnation = time.time_ns() // 1_000_000 if incarnation is None else incarnation
        self._will = Status("lost", incarnation=self._incarnation)
        self._leaving: Literal["draining", "lost"] | None = None
        self._status_topic = worker_status_topic(root, self._name)
        self._name_check = NameCheck(link, forbidden_name)
        self._announcer = Announcer(
            link, self._status_topic, heartbeat_s, self._status, self._name_check.said
        )
        self._jobs: dict[str, ServedRequest] = {}
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._gateways = GatewayWatch(gateway_grace_s, self._gateway_gone)
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: asyncio.TaskGroup | None = None
        self.dropped = Dropped()
        link.subscribe(inbox_topic(root, self._name), self._hear_inbox)
        link.subscribe(self._status_topic, self._hear_own_status)
        link.subscribe(every_gateway_status(root), self._hear_gateway)
        link.watch(self._connection_changed)

    @property
    def busy(self) -> int:
        """Number of running requests."""
        return len(self._jobs)

    @property
    def max_concurrent(self) -> int:
        """Maximum number of concurrent requests; 0 while no model server can serve them."""
        return self._max_concurrent

    @property
    def state(self) -> Literal["ready", "draining", "lost"]:
        """The announced state: `draining` also while no model server can serve requests."""
        return self._leaving or ("ready" if self._max_concurrent else "draining")

    @property
    def problem(self) -> str | None:
        """The reason why gateways do not receive a connected worker's messages; None if they do."""
        return self._name_check.problem

    def offer(self, models: Sequence[str], max_concurrent: int) -> None:
        """Replace the announced models and capacity. `max_concurrent` 0: gateways choose other workers."""
        self._models = models
        self._max_concurrent = max_concurrent
        self._announcer.now()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        will = Will(self._status_topic, encode(self._will))
        async with self._transport.running(), self._link.running(will), asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            announcing = tasks.create_task(self._announcer.run())
            try:
                yield
            finally:
                self._leaving = "lost"
                announcing.cancel()
                self._gateways.close()
                for job in list(self._jobs.values()):
                    job.fail(WorkerLost("the worker is going away"))
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await self._idle.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        # A clean DISCONNECT makes the broker drop the will, so publish it here.
                        await self._announcer.say()

    async def drain(self, within_s: float) -> None:
        """Refuse new requests and wait until the running ones have ended; stop them after `within_s`."""
        self._leaving = "draining"
        self._announcer.say()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        for job in list(self._jobs.values()):
            job.fail(WorkerLost("the worker is going away"))

    async def idle(self) -> None:
        """Wait until no request is running."""
        await self._idle.wait()

    def _status(self) -> Status:
        models = self._transport.abilities.models() if self._models is None else self._models
        return Status(
            self.state,
            name=self._name,
            incarnation=self._incarnation,
            heartbeat_s=self._heartbeat_s,
            models=list(models),
            stream=self._transport.info.granularity == "token",
            accept_s=self._accept_s,
            max=max(1, self._max_concurrent),
            busy=self.busy,
            accepts=sorted(self._transport.abilities.accepts()),
            embeds=self._transport.abilities.embeds(),
            by_name=self._by_name,
        )

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._announcer.reconnected(self._will)
            return
        # Every gateway ends these replies: by our will, or because it lost the broker too.
        for job in list(self._jobs.values()):
            job.fail(WorkerLost("the worker lost the broker"))

    def _hear_own_status(self, topic: str, payload: bytes, retained: bool) -> None:
        """Correct our own `lost`: it is an old connection's will, or another client's mistake."""
        try:
            self._check_size(payload)
            status = decode_status(payload)
        except ProtocolViolation:
            status = Status("lost")
        if status.state == "lost":
            self._announcer.now()
        elif status.incarnation == self._incarnation:
            self._name_check.came_back()

    def _hear_gateway(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            self._check_size(payload)
            name, status = status_sender(topic), decode_status(payload)
        except ProtocolViolation as violation:
            self.dropped.drop("status", topic, violation)
            return
        self._gateways.take(name, status)
        if status.roll_call and not retained:
            self._announcer.answer_roll_call()

    def _gateway_gone(self, name: str) -> None:
        for job in [job for job in self._jobs.values() if job.gateway == name]:
            job.fail(WorkerLost("the gateway went away"))

    def _hear_inbox(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            if retained:
                raise ProtocolViolation("a request must not be retained")
            self._check_size(payload)
            frame = decode_inbox(payload)
            if isinstance(frame, CancelFrame):
                self._cancel(frame)
            else:
                self._take(frame, gateway_to_answer(self._root, frame.reply_to, self._name))
        except ProtocolViolation as violation:
            self.dropped.drop("inbox", topic, violation)

    def _take(self, request: RequestFrame | EmbedFrame, gateway: str) -> None:
        """Start one request, once: QoS 1 may repeat it, even after its cancel."""
        if request.id in self._remembered:
            self.dropped["repeated request"] += 1
            return
        self._remember(request.id)
        if self._leaving or self._tasks is None:
            self._refuse(request, WorkerLost("the worker is going away"))
        elif not self._max_concurrent:
            self._refuse(request, Unreachable("the worker's model servers are away"))
        elif self.busy >= self._max_concurrent:
            self._refuse(request, Overloaded("the worker is full"))
        else:
            queue = self._transport.abilities.place_in_queue(request.model)
            job = ServedRequest(request, gateway)
            self._jobs[request.id] = job
            self._idle.clear()
            self._busy_changed(at_once=self.busy == self._max_concurrent)
            job.task = self._tasks.create_task(job.work(self._transport, self._new_writer, queue))
            job.task.add_done_callback(lambda _: self._ended(job))

    def _refuse(self, request: RequestFrame | EmbedFrame, error: GatewayError) -> None:
        self._say(request.reply_to, error_frame(request.id, error))

    def _remember(self, request_id: str) -> None:
        self._remembered[request_id] = None
        if len(self._remembered) > REMEMBERED_IDS:
            self._remembered.popitem(last=False)

    def _cancel(self, cancel: CancelFrame) -> None:
        job = self._jobs.get(cancel.id)
        if job is None:
            self._remember(cancel.id)
        else:
            job.stop(ErrorFrame(cancel.id, "cancelled", "stopped as asked"))

    def _ended(self, job: ServedRequest) -> None:
        was_full = self.busy >= self._max_concurrent
        del self._jobs[job.request.id]
        self._busy_changed(at_once=was_full)
        if not self._jobs:
            self._idle.set()
        if job.stopped is not None and not job.answered:
            self._say(job.request.reply_to, job.stopped)

    def _busy_changed(self, *, at_once: bool) -> None:
        """Announce `busy`: a gateway knows only its own requests, not those of other gateways."""
        if at_once:
            self._announcer.now()
        else:
            self._announcer.soon()

    def _say(self, topic: str, frame: Frame) -> None:
        try:
            self._link.publish(topic, encode(frame))
        except GatewayError as error:  # too many messages wait for the broker
            self.dropped.drop("unsaid", topic, error)

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._link.max_payload:
            raise ProtocolViolation("the payload is too large")
