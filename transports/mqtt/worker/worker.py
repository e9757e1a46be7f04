"""The worker: serves any Transport to gateways over an MQTT broker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal

from gateway.contract.errors import Overloaded, ProtocolViolation, Unreachable, WorkerLost
from gateway.contract.transport import Transport
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Link, Will
from transports.mqtt.link.name_check import FORBIDDEN_NAME, NameCheck
from transports.mqtt.protocol.frame_codec import decode_inbox, decode_status, encode
from transports.mqtt.protocol.frames import (
    MAX_MODELS,
    MAX_NAME_CHARS,
    CancelFrame,
    EmbedFrame,
    ForgetFrame,
    InboxFrame,
    RequestFrame,
    ResumeFrame,
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
from transports.mqtt.worker.kept_replies import KEEP_BYTES, KEEP_REPLY_BYTES
from transports.mqtt.worker.reply_writer import ReplyWriter
from transports.mqtt.worker.running_requests import RunningRequests

log = logging.getLogger(__name__)

GOODBYE_S = 1.0


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
        keep_bytes, keep_reply_bytes: see KeptReplies; 0: keep no reply without its gateway.
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
        keep_bytes: int = KEEP_BYTES,
        keep_reply_bytes: int = KEEP_REPLY_BYTES,
    ) -> None:
        self._by_name = by_name
        self._transport = transport
        self._link = link
        self._root = checked_root(root)
        self._name = link.client_id
        self._max_concurrent = max_concurrent
        self._models = models
        self._leaves_models_out = False
        self._accept_s = accept_s
        self._heartbeat_s = heartbeat_s
        self._incarnation = time.time_ns() // 1_000_000 if incarnation is None else incarnation
        self._will = Status("lost", incarnation=self._incarnation)
        self._leaving: Literal["draining", "lost"] | None = None
        self._status_topic = worker_status_topic(root, self._name)
        self._name_check = NameCheck(link, forbidden_name)
        self._announcer = Announcer(
            link, self._status_topic, heartbeat_s, self._status, self._name_check.said
        )
        self.dropped = Dropped()
        self._gateways = GatewayWatch(gateway_grace_s, lambda *life: self._requests.gateway_gone(*life))
        self._requests = RunningRequests(
            transport,
            link,
            partial(ReplyWriter, coalesce_s=coalesce_s, coalesce_bytes=coalesce_bytes),
            self.dropped,
            self._gateways,
            self._busy_changed,
            keep_bytes=keep_bytes,
            keep_reply_bytes=keep_reply_bytes,
        )
        self._namesake: Literal["unknown", "logged"] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        link.subscribe(inbox_topic(root, self._name), self._hear_inbox)
        link.subscribe(self._status_topic, self._hear_own_status)
        link.subscribe(every_gateway_status(root), self._hear_gateway)
        link.watch(self._connection_changed)

    @property
    def busy(self) -> int:
        """Number of running requests."""
        return len(self._requests)

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
                self._requests.stop_all()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await self._requests.idle()
                self._requests.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        # A clean DISCONNECT makes the broker drop the will, so publish it here.
                        await self._announcer.say()

    async def drain(self, within_s: float) -> None:
        """Refuse new requests, wait until the running ones have ended and gateways have stored their replies:
        one that was killed asks for them after its next start. Stop the requests after `within_s`."""
        self._leaving = "draining"
        self._announcer.say()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._requests.settled()
        self._requests.stop_all()

    async def idle(self) -> None:
        """Wait until no request is running."""
        await self._requests.idle()

    def _status(self) -> Status:
        models = self._transport.abilities.models() if self._models is None else self._models
        return Status(
            self.state,
            name=self._name,
            incarnation=self._incarnation,
            heartbeat_s=self._heartbeat_s,
            models=self._announced(models),
            stream=self._transport.info.granularity == "token",
            accept_s=self._accept_s,
            max=max(1, self._max_concurrent),
            busy=self.busy,
            accepts=sorted(self._transport.abilities.accepts()),
            embeds=self._transport.abilities.embeds(),
            by_name=self._by_name,
            keep=self._requests.keeps,
        )

    def _announced(self, models: Sequence[str]) -> list[str]:
        """Return the models without those for which gateways would refuse the status. Log it once."""
        taken = [name for name in models if 1 <= len(name) <= MAX_NAME_CHARS][:MAX_MODELS]
        if len(taken) < len(models) and not self._leaves_models_out:
            self._leaves_models_out = True
            log.warning(
                "%d of %d models are not announced: gateways take %d, with names of 1 to %d characters",
                len(models) - len(taken),
                len(models),
                MAX_MODELS,
                MAX_NAME_CHARS,
            )
        return taken

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._announcer.reconnected(self._will)
            return
        self._requests.broker_lost()

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
            self._namesake = self._namesake or "unknown"
        if self._namesake == "unknown" and status.incarnation > self._incarnation:
            self._namesake = "logged"  # it came after our own status, so it is of a later start
            log.error("another worker named %s uses the same MQTT broker: rename one of them", self._name)

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

    def _hear_inbox(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            if retained:
                raise ProtocolViolation("a request must not be retained")
            self._check_size(payload)
            frame = decode_inbox(payload)
            self._heed(frame)
        except ProtocolViolation as violation:
            self.dropped.drop("inbox", topic, violation)

    def _heed(self, frame: InboxFrame) -> None:
        if isinstance(frame, CancelFrame):
            self._requests.cancel(frame)
        elif isinstance(frame, ForgetFrame):
            self._requests.forget(frame)
        else:
            gateway = gateway_to_answer(self._root, frame.reply_to, self._name)
            if isinstance(frame, ResumeFrame):
                self._requests.resume(frame, gateway)
            else:
                self._take(frame, gateway)

    def _take(self, request: RequestFrame | EmbedFrame, gateway: str) -> None:
        """Start one request, once."""
        if not self._requests.is_new(request.id):
            return
        if self._leaving or self._tasks is None:
            self._requests.refuse(request, WorkerLost("the worker is going away"))
        elif not self._max_concurrent:
            self._requests.refuse(request, Unreachable("the worker's model servers are away"))
        elif self.busy >= self._max_concurrent:
            self._requests.refuse(request, Overloaded("the worker is full"))
        else:
            self._requests.start(request, gateway, self._tasks)

    def _busy_changed(self, before: int, after: int) -> None:
        """Announce `busy`: a gateway knows only its own requests, not those of other gateways.

        Announce at once if the worker becomes full, or was.
        """
        if max(before, after) == self._max_concurrent or before > self._max_concurrent:
            self._announcer.now()
        else:
            self._announcer.soon()

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._link.max_payload:
            raise ProtocolViolation("the payload is too large")
