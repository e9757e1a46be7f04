"""`POST /api/admin/simulator`: plays a device or a worker while the response is read."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel

from gateway.contract.audit import Actor
from gateway.contract.errors import Conflict, GatewayError, NotFound
from gateway.contract.rooms import Member
from gateway.contract.simulators import PassedFrame, SimulatedPart
from gateway.contract.store import StoredSession
from gateway.dialects.sse_frames import data_frame
from gateway.web.api.admin.simulator_views import FramePassed, PartEnded, PartStarted, SayBody, SimulatorBody
from gateway.web.api.dependencies import Gateway
from gateway.web.chat.session_names import session_of
from gateway.web.door.callers import caller_of
from gateway.web.door.credentials import Credentials
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.bodies import parse
from gateway.web.http.endpoint import read_request
from gateway.web.http.sse_writer import Pulse, SseWriter
from gateway.web.services import Services

log = logging.getLogger("sluice.web")

LASTS_S = 300.0
IN_ROOM_LASTS_S = 3600.0
NO_BROKER = "Simulated parts need an MQTT broker: set MQTT_BROKER_HOST."
MAX_WAITING = 10_000
MAX_CHARS = 4000


class Simulate:
    """Sends the frames of one part until it has its answer, LASTS_S seconds have passed, or the client
    disconnects; those of a device in a room for IN_ROOM_LASTS_S. Each part is played once at a time."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self._playing: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway, caller = self._gateway, caller_of(scope)
        body = parse(await read_request(gateway, scope, receive), SimulatorBody)
        if gateway.simulators is None:
            raise Conflict(NO_BROKER)
        is_device, room = body.part == "device", None
        if is_device and body.room is not None:
            room = await session_of(gateway.store, caller.user_id, body.room)
            part = gateway.simulators.member(room.key)
        else:
            part = gateway.simulators.device(body.text) if is_device else gateway.simulators.worker()
        if part.name in self._playing:
            raise Conflict(f"The simulated {body.part} is already running. It ends when its page is closed.")
        actor = Actor(caller.user_id, gateway.proxies.client_of(scope), caller.key_id)
        credentials = Credentials(gateway)
        self._playing.add(part.name)
        place = None
        try:
            if caller.allowance is not None:
                place = await gateway.listeners.take(caller.allowance.streams)
            async with (
                self._registered(part, actor, needed=is_device and gateway.keys.closed),
                self._in_room(room, part, caller.user_id),
            ):
                may_watch = lambda: credentials.stand(caller) and not gateway.runs.draining  # noqa: E731
                stream = FrameStream(connection_of(scope), gateway.pulse, may_watch)
                gateway.runs.on_drain.add(stream.hear)
                try:
                    await stream.serve(part, send, LASTS_S if room is None else IN_ROOM_LASTS_S)
                finally:
                    gateway.runs.on_drain.discard(stream.hear)
        finally:
            self._playing.discard(part.name)
            if place is not None:
                place.leave()

    @asynccontextmanager
    async def _registered(self, part: SimulatedPart, actor: Actor, *, needed: bool) -> AsyncIterator[None]:
        """Register the device for the caller meanwhile: with API keys, others may not chat."""
        if not needed:
            yield
            return
        await self._gateway.devices.add_device(part.name, actor.name, actor)
        try:
            yield
        finally:
            await self._gateway.devices.remove_device(part.name, actor)

    @asynccontextmanager
    async def _in_room(
        self, room: StoredSession | None, part: SimulatedPart, user_id: str
    ) -> AsyncIterator[None]:
        """Make the device a member of the room meanwhile, unless it is one."""
        rooms, device = self._gateway.rooms, Member("device", part.name)
        if room is None or await rooms.has_device(room, part.name):
            yield
            return
        await rooms.add(user_id, room, [device])
        try:
            yield
        finally:
            with suppress(NotFound):  # it was removed
                await rooms.remove(user_id, room, device)


async def say(request: Request, gateway: Gateway) -> Response:
    """`POST /api/admin/simulator/say`: lets the device say something in its room."""
    body = parse(await read_request(gateway, request.scope, request.receive), SayBody)
    if gateway.simulators is None:
        raise Conflict(NO_BROKER)
    gateway.simulators.say(body.text, body.ask)
    return Response(status_code=204)


class FrameStream(SseWriter):
    """One client's connection. may_watch: returns False once the part must end."""

    __slots__ = ("_called", "_may_watch", "_waiting")

    def __init__(self, connection: Connection, pulse: Pulse, may_watch: Callable[[], bool]) -> None:
        super().__init__(connection, pulse)
        self._may_watch = may_watch
        self._called = asyncio.Event()
        self._waiting: deque[PassedFrame] = deque(maxlen=MAX_WAITING)

    async def serve(self, part: SimulatedPart, send: Send, lasts_s: float) -> None:
        playing = asyncio.ensure_future(part.play(self._take))
        playing.add_done_callback(lambda _: self.hear())
        try:
            await self.begin(send)
            await self._say(send, PartStarted(name=part.name, model=part.model))
            reason: Literal["answered", "time", "draining"] = "time"
            try:
                async with asyncio.timeout(lasts_s):
                    while not (self.is_over or playing.done()) and self._may_watch():
                        await self._called.wait()
                        self._called.clear()
                        await self._say_waiting(send)
                reason = "answered" if playing.done() else "draining"
            except TimeoutError:
                pass
            await self._say_waiting(send)
            if not self.is_over:
                await self.put(send, _frame(_ending(playing, reason)), more=False)
        finally:
            playing.cancel()
            await asyncio.wait([playing])
            self.leave()

    def hear(self) -> None:
        self._called.set()

    def connection_lost(self) -> None:
        super().connection_lost()
        self.hear()

    def _take(self, frame: PassedFrame) -> None:
        self._waiting.append(frame)
        self.hear()

    async def _say_waiting(self, send: Send) -> None:
        while self._waiting and not self.is_over:
            frame = self._waiting.popleft()
            payload = frame.payload.decode(errors="replace")[:MAX_CHARS]
            await self._say(send, FramePassed(sent=frame.sent, topic=frame.topic, payload=payload))

    async def _say(self, send: Send, event: BaseModel) -> None:
        await self.put(send, _frame(event))


def _frame(event: BaseModel) -> bytes:
    return data_frame(event.model_dump_json().encode())


def _ending(playing: "asyncio.Future[None]", reason: Literal["answered", "time", "draining"]) -> PartEnded:
    error = playing.exception() if playing.done() else None
    if error is None:
        return PartEnded(reason=reason, message="")
    if not isinstance(error, GatewayError):
        log.error("the simulated part failed", exc_info=error)
        return PartEnded(reason="failed", message="The gateway failed on this part; its log says why.")
    return PartEnded(reason="failed", message=str(error))
