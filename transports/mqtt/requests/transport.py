"""Replies from workers behind an MQTT broker."""

import asyncio
import logging
import time
from asyncio import Future
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal

from gateway.contract.accepted_kinds import ALL_KINDS
from gateway.contract.content import Kind
from gateway.contract.errors import GatewayError, NameTaken, ProtocolViolation, Unreachable
from gateway.contract.events import Done
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Health, Hear, TransportInfo, WorkerInfo
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Link, Will
from transports.mqtt.link.name_check import FORBIDDEN_NAME, NameCheck
from transports.mqtt.protocol.frame_codec import decode_reply, decode_status, encode
from transports.mqtt.protocol.frames import Status
from transports.mqtt.protocol.topics import (
    checked_root,
    every_reply_to,
    every_worker_status,
    gateway_status_topic,
    reply_sender,
    status_sender,
)
from transports.mqtt.requests.adopted_reply import AdoptedReplies
from transports.mqtt.requests.dispatch import Dispatch
from transports.mqtt.requests.embeddings import EmbeddingWorkers
from transports.mqtt.requests.kept_request import KeptRequest
from transports.mqtt.requests.namesake import OwnTopic, namesake_lives
from transports.mqtt.requests.open_requests import OpenRequests
from transports.mqtt.requests.pending_request import PendingRequest
from transports.mqtt.requests.presence import MISSED_HEARTBEATS, KnownWorker, Presence
from transports.mqtt.requests.rights import refused_topics
from transports.mqtt.status_announcer import Announcer

log = logging.getLogger(__name__)

SWEEP_S = 1.0
GOODBYE_S = 1.0


class MqttTransport:
    """Sends each request to one worker, and brings its reply back.

    Args:
        link: run only by this transport; its client id is the gateway's name.
        lookout: link with another client id, to look for a running gateway with the same name before the
            start; None: do not look.
        idle_s: longest silence in seconds after a reply's first frame.
        queue_max: requests that may wait while all workers are busy.
        worker_max: concurrent requests to one worker, even if its `max` is larger.
        forbidden_name: see NameCheck.
        incarnation: must grow with every start; by default the wall clock's milliseconds.
    """

    def __init__(
        self,
        link: Link,
        *,
        lookout: Link | None = None,
        root: str = "sluice/v1",
        idle_s: float = 30.0,
        queue_max: int = 200,
        worker_max: int = 64,
        forbidden_name: str = FORBIDDEN_NAME,
        heartbeat_s: float = 10.0,
        incarnation: int | None = None,
    ) -> None:
        self._link = link
        self._lookout = lookout
        self._heartbeat_s = heartbeat_s
        self._incarnation = time.time_ns() // 1_000_000 if incarnation is None else incarnation
        self._state: Literal["ready", "draining", "lost"] = "ready"
        self._status_topic = gateway_status_topic(checked_root(root), link.client_id)
        self._name_check = NameCheck(link, forbidden_name)
        self._announcer = Announcer(
            link, self._status_topic, heartbeat_s, lambda: self._status(self._state), self._name_check.said
        )
        self._own_topic = OwnTopic(self._incarnation)
        self._presence = Presence()
        self._dispatch = Dispatch(self._presence, queue_max=queue_max, worker_max=worker_max)
        self._requests = OpenRequests(link, self._dispatch, root, idle_s, self._incarnation)
        adopted = AdoptedReplies(self._requests, self._presence)
        self._watchers: list[Future[None]] = []
        self.dropped = Dropped()
        self.abilities = Abilities(
            health=self.health,
            models=self.models,
            admit=self.admit,
            check=self.check,
            accepts=self.accepts,
            workers=self.list_workers,
            rule_workers=self._dispatch.rule_workers,
            queued=lambda: self._dispatch.waiting,
            drain=self.drain,
            embed=EmbeddingWorkers(self._requests, self._presence).embed,
            reattach=adopted.reattach,
            forget=adopted.forget,
            stop=adopted.stop,
            refused_topics=lambda: refused_topics(link, root),
        )
        link.subscribe(every_reply_to(root, link.client_id), self._hear_reply)
        link.subscribe(every_worker_status(root), self._hear_status)
        link.subscribe(self._status_topic, self._hear_own_status)
        link.watch(self._connection_changed)

    @property
    def info(self) -> TransportInfo:
        return TransportInfo("mqtt", "token")

    @property
    def workers(self) -> Collection[KnownWorker]:
        """All workers with a known status."""
        return self._presence.workers

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """See `Transport`. Raises NameTaken if another running gateway has the same name."""
        if self._lookout is not None and await namesake_lives(self._lookout, self._status_topic):
            raise NameTaken(self._rival)
        will = Will(self._status_topic, encode(self._status("lost")))
        async with self._link.running(will), asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(self._announcer.run()), tasks.create_task(self._sweep())]
            try:
                yield
            finally:
                for task in background:
                    task.cancel()
                self._state = "lost"
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await self._announcer.say()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        self._refuse_if_away()
        self._dispatch.refuse_if_none_ready(request.model)
        self._presence.check_accepts(request)
        kind = KeptRequest if request.reattachable else PendingRequest
        asked = kind(request, hear, self._requests, asyncio.get_running_loop())
        return await asked.answer()  # type: ignore[no-any-return]

    def admit(self, model: str | None) -> TransportInfo:
        """See Abilities. Raises Unreachable, NoWorker or Overloaded, each with retry_after_s."""
        self._refuse_if_away()
        worker = self._dispatch.expected(model)
        return TransportInfo("mqtt", "token" if worker.status.stream else "message")

    def _refuse_if_away(self) -> None:
        if not self._link.connected:
            raise Unreachable("the MQTT broker is away", retry_after_s=2)

    def check(self, request: ChatRequest) -> None:
        """Raise UnsupportedContent, TooLarge or Unprocessable for a request that no worker can get."""
        self._presence.check_accepts(request)
        self._requests.check(request)

    def accepts(self) -> frozenset[Kind]:
        """Return the kinds of content that at least one ready worker takes besides text."""
        accepted = {kind for worker in self._presence.ready for kind in worker.status.accepts}
        return ALL_KINDS.intersection(accepted)

    def list_workers(self) -> Sequence[WorkerInfo]:
        return self._presence.infos(asyncio.get_running_loop().time())

    async def health(self) -> Health:
        seen_at = self._own_topic.namesake_at
        believed_s = MISSED_HEARTBEATS * self._heartbeat_s
        if seen_at is not None and asyncio.get_running_loop().time() - seen_at < believed_s:
            return Health(False, self._rival)
        if self._name_check.problem is not None:
            return Health(False, self._name_check.problem)
        try:
            self.admit(None)
        except GatewayError as error:
            return Health(False, str(error))
        return Health(True, f"ready MQTT workers: {len(self._presence.ready)}")

    def models(self) -> Sequence[str]:
        return self._presence.models()

    async def until_ready(self) -> None:
        """Wait until the broker is connected and a worker is ready. The caller sets the deadline."""
        while not (self._link.connected and self._presence.ready):
            await self.presence_changed()

    async def presence_changed(self) -> None:
        """Wait for the next change of broker or workers. The caller sets the deadline."""
        waiter: Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(waiter)
        await waiter

    def drain(self) -> None:
        """Publish that this gateway is stopping. Replies go on."""
        self._state = "draining"
        self._announcer.now()

    @property
    def _rival(self) -> str:
        name = self._link.client_id
        return (
            f"GATEWAY_NAME={name} is taken: another gateway of this name is alive on the same MQTT broker; "
            "each needs a name of its own"
        )

    def _status(self, state: Literal["ready", "draining", "lost"]) -> Status:
        return Status(
            state,
            name=self._link.client_id,
            incarnation=self._incarnation,
            heartbeat_s=self._heartbeat_s,
        )

    async def _sweep(self) -> None:
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            for worker in self._presence.expire(clock.time()):
                self._end_replies_of([worker], f"worker {worker.name} missed its heartbeats")
            self._dispatch.serve()
            self._tell_watchers()

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._announcer.call_roll()
            self._requests.broker_is_back()
        else:
            gone = self._presence.forget_all()
            for reply in dict.fromkeys([*self._replies_of(gone), *self._requests.all_waiting()]):
                reply.broker_lost("the MQTT broker went away in the middle of the reply")
        self._tell_watchers()

    def _hear_status(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            name = status_sender(topic)
            if len(payload) > self._link.max_payload:
                raise ProtocolViolation("the payload is too large")
            status = decode_status(payload)
        except ProtocolViolation as violation:
            self.dropped.drop("status", topic, violation)
            return
        ended = self._presence.take(name, status, retained=retained, now=asyncio.get_running_loop().time())
        if ended is not None:
            self._end_replies_of([ended], f"worker {name} went away in the middle of the reply")
        if (worker := self._presence.find(name)) is not None:
            self._requests.worker_is_back(worker, is_live=not retained)
        self._dispatch.serve()
        self._tell_watchers()

    def _hear_reply(self, topic: str, payload: bytes, retained: bool) -> None:
        size = len(payload)
        try:
            if retained:
                raise ProtocolViolation("a reply must not be retained")
            if size > self._link.max_payload:
                raise ProtocolViolation("the payload is too large")
            frame = decode_reply(payload)
        except ProtocolViolation as violation:
            self.dropped.drop("reply", topic, violation)
            if payload and not retained and (worker := self._presence.find(reply_sender(topic))):
                self._requests.reject(worker, payload, violation)
            return
        reply = self._requests.open.get(frame.id)
        if reply is None:
            self.dropped["unknown id"] += 1  # late frames of a stopped reply are normal, so not logged
        elif not reply.take(reply_sender(topic), frame, size):
            self.dropped.drop("reply", topic, ProtocolViolation("the reply belongs to another worker"))

    def _hear_own_status(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            status = decode_status(payload)
        except ProtocolViolation as violation:
            self.dropped.drop("status", topic, violation)
            return
        if status.incarnation == self._incarnation and status.state != "lost":
            self._name_check.came_back()
        first_seen = self._own_topic.namesake_at is None
        contradict = self._own_topic.take(status, retained=retained, now=asyncio.get_running_loop().time())
        if contradict and self._state != "lost":
            self._announcer.soon()  # not at once, in case of a flood, but before workers stop our requests
        if first_seen and self._own_topic.namesake_at is not None:
            log.error(self._rival)

    def _end_replies_of(self, workers: Sequence[KnownWorker], why: str) -> None:
        for reply in self._replies_of(workers):
            reply.worker_lost(why)
        self._dispatch.left(workers)

    def _replies_of(self, workers: Sequence[KnownWorker]) -> list[PendingRequest]:
        return [reply for reply in self._requests.open.values() if reply.worker in workers]

    def _tell_watchers(self) -> None:
        waiters, self._watchers = self._watchers, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
