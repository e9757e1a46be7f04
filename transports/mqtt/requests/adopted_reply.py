"""Replies that another gateway, or an earlier start of this one, has requested from a worker."""

import asyncio
from contextlib import suppress

from gateway.contract.errors import Interrupted
from gateway.contract.events import Done
from gateway.contract.reattach import Handle, Reattach
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear
from transports.mqtt.clock import Clock
from transports.mqtt.protocol.frames import Status
from transports.mqtt.protocol.topics import NAME
from transports.mqtt.requests.kept_attempt import KeptAttempt
from transports.mqtt.requests.kept_request import BROKER_BACK_S, KeptRequest
from transports.mqtt.requests.open_requests import OpenRequests
from transports.mqtt.requests.presence import KnownWorker, Presence


class AdoptedReplies:
    """The abilities `reattach` and `forget` of the MQTT transport."""

    def __init__(self, requests: OpenRequests, presence: Presence) -> None:
        self._requests = requests
        self._presence = presence

    async def reattach(self, asked: Reattach, hear: Hear) -> Done:
        """See Abilities. Waits BROKER_BACK_S for the worker, since none is known after a start."""
        reply = AdoptedReply(asked, hear, self._requests, self._presence, asyncio.get_running_loop())
        return await reply.answer()  # type: ignore[no-any-return]

    def forget(self, handle: Handle, epoch: int) -> None:
        """See Abilities."""
        with suppress(Interrupted):  # no worker had accepted it
            worker, request_id, *_ = checked_handle(handle)
            self._requests.send_forget(worker, request_id, epoch)


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
        now = clock.time()
        status = Status("lost", name=name, incarnation=incarnation, keep=True)
        absent = KnownWorker(name, status, now, open=1, lost=True)
        self._adopted = KeptAttempt(
            id, absent, model=model, now=now, reattachable=asked.reattachable, epoch=asked.epoch
        )

    def start(self) -> None:
        """Wait for the worker, and ask it for all frames."""
        attempt = self._attempt = self._adopted
        self._requests.open[attempt.id] = self
        attempt.wait(self._clock.time() + BROKER_BACK_S)
        self._requests.waits_for(attempt.worker.name, self)
        worker = self._presence.find(attempt.worker.name)
        if worker is not None:
            self.worker_is_back(worker)
        self._arm()

    def _give_up(self, why: str) -> None:
        if self._adopted.heard_at is not None:
            super()._give_up(why)
        else:
            self._fail(Interrupted(f"The gateway ended before the reply did, and {why}."))


def checked_handle(handle: Handle) -> tuple[str, str, int, str | None]:
    """Return worker, request id, incarnation and model. Raises Interrupted for a handle of something else."""
    match handle:
        case {"worker": str(worker), "request": str(id), "incarnation": int(incarnation)}:
            model = handle.get("model")
            if NAME.fullmatch(worker) and 0 < len(id) <= 128 and incarnation >= 0:
                return worker, id, incarnation, model if isinstance(model, str) else None
    raise Interrupted("The gateway ended before the reply did, and no worker had accepted it.")
