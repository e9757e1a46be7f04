"""`GET /api/admin/live`: a stream of the gateway's state, for a control room."""

import asyncio
import random
import time
from collections.abc import Callable

from gateway.contract.record import replace
from gateway.dialects.sse_frames import data_frame, retry_line
from gateway.web.api.admin.live_state import Checks, LiveState
from gateway.web.api.admin.live_views import HourEvent, StateEvent
from gateway.web.door.callers import caller_of
from gateway.web.door.credentials import Credentials
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.sse_writer import RETRY_MS, Pulse, SseWriter, send_head
from gateway.web.services import Services

PERIOD_S = 1.0
"""Minimum of seconds between two states."""


class AdminLive:
    """Sends the state at once and when it has changed; at a drain `retry:` and the end."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self._checks = Checks(gateway)
        self._started_at = round(time.time(), 3)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway, caller = self._gateway, caller_of(scope)
        if scope["method"] == "HEAD":
            await send_head(send)
            return
        place = None if caller.allowance is None else await gateway.listeners.take(caller.allowance.streams)
        state = LiveState(gateway, self._checks, self._started_at)
        credentials = Credentials(gateway)
        stream = LiveStateStream(connection_of(scope), gateway.pulse, lambda: credentials.stand(caller))
        gateway.runs.on_drain.add(stream.hear)
        try:
            await stream.serve(state, send, lambda: gateway.runs.draining)
        finally:
            gateway.runs.on_drain.discard(stream.hear)
            if place is not None:
                place.leave()


class LiveStateStream(SseWriter):
    """One client's connection. may_watch: returns False once the caller's key or token is no longer valid."""

    __slots__ = ("_called", "_may_watch")

    def __init__(self, connection: Connection, pulse: Pulse, may_watch: Callable[[], bool]) -> None:
        super().__init__(connection, pulse)
        self._may_watch = may_watch
        self._called = asyncio.Event()

    async def serve(self, state: LiveState, send: Send, is_draining: Callable[[], bool]) -> None:
        """Answer the request. Returns when the client disconnects, the gateway drains, or `may_watch` returns
        False."""
        told: StateEvent | None = None
        told_at = 0.0
        try:
            await self.begin(send)
            while not self.is_over and self._may_watch():
                self._called.clear()
                now = await state.now()
                passed_s = time.monotonic() - told_at
                if told is None or _heard(now, passed_s) or _lasting(now) != _lasting(told):
                    told, told_at = now, time.monotonic()
                    await self.put(send, data_frame(now.model_dump_json().encode()))
                if minutes := state.changed_minutes():
                    hour = HourEvent(minutes=minutes)
                    await self.put(send, data_frame(hour.model_dump_json().encode()))
                if is_draining():
                    break
                try:
                    async with asyncio.timeout(PERIOD_S):
                        await self._called.wait()
                except TimeoutError:
                    pass
            if not self.is_over:
                await self.put(send, retry_line(random.randint(*RETRY_MS)), more=False)
        finally:
            self.leave()

    def hear(self) -> None:
        self._called.set()

    def connection_lost(self) -> None:
        super().connection_lost()
        self.hear()


def _heard(state: StateEvent, within_s: float) -> bool:
    """Return True if a worker was heard within these seconds."""
    return any(worker.worker and worker.worker.last_heard_s < within_s for worker in state.workers)


def _lasting(state: StateEvent) -> object:
    """Return the state without the times that pass while nothing changes."""
    workers = [
        worker.model_copy(update={"worker": worker.worker and replace(worker.worker, last_heard_s=0)})
        for worker in state.workers
    ]
    return state.model_copy(update={"workers": workers})
