"""Replies that another gateway, or an earlier start of this one, has requested from a worker."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import TypeGuard

from gateway.contract.errors import Interrupted, Unreachable
from gateway.contract.events import Done, TransportEvent
from gateway.contract.reattach import Handle, Reattach
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear
from transports.mqtt.clock import Clock
from transports.mqtt.protocol.frames import Status
from transports.mqtt.protocol.topics import NAME
from transports.mqtt.requests.kept_attempt import KeptAttempt
from transports.mqtt.requests.kept_request import KeptRequest
from transports.mqtt.requests.open_requests import OpenRequests
from transports.mqtt.requests.presence import KnownWorker, Presence


class AdoptedReplies:
    """The abilities `reattach`, `forget` and `stop` of the MQTT transport."""

    def __init__(self, requests: OpenRequests, presence: Presence) -> None:
        self._requests = requests
        self._presence = presence

    async def reattach(self, asked: Reattach, hear: Hear) -> Done:
        """See Abilities. After a start no worker is known: it waits for the one that has the reply."""
        if "worker" not in asked.handle:
            return await self._find(asked, hear)
        return await self._adopted(asked, hear).answer()  # type: ignore[no-any-return]

    async def _find(self, asked: Reattach, hear: Hear) -> Done:
        """Ask one worker after the other. Raises Unreachable if no worker that is known yet has it."""
        handles = self._handles_at_all_workers(asked.handle)
        for handle in handles:
            found = replace(asked, handle=handle, find_within_s=asked.find_within_s / len(handles))
            reply = self._adopted(found, _storing(found, hear))
            try:
                return await reply.answer()  # type: ignore[no-any-return]
            except Interrupted:
                if reply.has_begun:
                    raise
        raise Unreachable("no worker has the reply")

    def _adopted(self, asked: Reattach, hear: Hear) -> "AdoptedReply":
        return AdoptedReply(asked, hear, self._requests, self._presence, asyncio.get_running_loop())

    def _handles_at_all_workers(self, handle: Handle) -> Sequence[Handle]:
        """Return a handle for each worker that may have the reply: its gateway had not stored which one."""
        id = handle.get("conversation_id")
        return [
            {**handle, "worker": worker.name, "incarnation": worker.status.incarnation, "request": id}
            for worker in self._presence.workers
            if worker.status.keep and not worker.lost
        ]

    def forget(self, handle: Handle, epoch: int) -> None:
        """See Abilities."""
        with suppress(Interrupted):  # no worker had accepted it
            worker, request_id, *_ = checked_handle(handle)
            self._requests.send_forget(worker, request_id, epoch)

    def stop(self, handle: Handle, epoch: int) -> None:
        """See Abilities."""
        cancels, id = self._requests.cancels, handle.get("conversation_id")
        if "worker" not in handle:
            if _is_id(id):
                keeping = [one.name for one in self._presence.workers if one.status.keep and not one.lost]
                cancels.send_to_all(keeping, id, epoch)
            return
        with suppress(Interrupted):
            name, request_id, *_ = checked_handle(handle)
            cancels.send(name, request_id, epoch, is_here=self._presence.find(name) is not None)


def _storing(found: Reattach, hear: Hear) -> Hear:
    """Return a `hear` that stores the handle at its first call."""
    is_stored = False

    def heard(events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        nonlocal is_stored
        if not is_stored:
            is_stored = True
            found.reattachable.keep_handle(found.handle)
        return hear(events)

    return heard


class AdoptedReply(KeptRequest):
    """One such reply. Raises Interrupted if the handle is not one of this transport."""

    def __init__(
        self, asked: Reattach, hear: Hear, requests: OpenRequests, presence: Presence, clock: Clock
    ) -> None:
        name, id, incarnation, model = checked_handle(asked.handle)
        request = ChatRequest(asked.id, [], model=model, deadline_s=asked.deadline_s, trace=asked.trace)
        super().__init__(request, hear, requests, clock)
        if id in requests.open:
            raise Interrupted("This gateway receives the reply already.")
        self._visible = True  # the reply cannot be requested again
        self._presence = presence
        self._find_within_s = asked.find_within_s
        now = clock.time()
        status = Status("lost", name=name, incarnation=incarnation, keep=True)
        absent = KnownWorker(name, status, now, open=1, lost=True)
        self._adopted = KeptAttempt(
            id, absent, model=model, now=now, reattachable=asked.reattachable, epoch=asked.epoch
        )

    @property
    def has_begun(self) -> bool:
        """True if the worker has it."""
        return self._adopted.heard_at is not None

    def start(self) -> None:
        """Wait for the worker, and ask it for all frames."""
        attempt = self._attempt = self._adopted
        self._requests.open[attempt.id] = self
        attempt.wait(self._clock.time() + self._find_within_s)
        self._requests.waits_for(attempt.worker.name, self)
        worker = self._presence.find(attempt.worker.name)
        if worker is not None:
            self.worker_is_back(worker)
        self._arm()

    def _give_up(self, why: str) -> None:
        if self.has_begun:
            super()._give_up(why)
        else:
            self._fail(Interrupted(f"The gateway ended before the reply did, and {why}."))

    def _fail(self, error: Exception) -> None:
        """Without a cancel, which would make the worker drop the reply: the core may ask for all frames once
        more, or a slow worker may have it after all. At the end of the run the core calls `stop`."""
        if self._attempt is not None:
            self._attempt.ended = True
        super()._fail(error)


def checked_handle(handle: Handle) -> tuple[str, str, int, str | None]:
    """Return worker, request id, incarnation and model. Raises Interrupted for a handle of something else."""
    match handle:
        case {"worker": str(worker), "request": str(id), "incarnation": int(incarnation)}:
            model = handle.get("model")
            if NAME.fullmatch(worker) and _is_id(id) and incarnation >= 0:
                return worker, id, incarnation, model if isinstance(model, str) else None
    raise Interrupted("The gateway ended before the reply did, and no worker had accepted it.")


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 128
