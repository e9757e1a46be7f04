"""Rooms on the plain WebSocket: JSON objects `{"event", "data", "ack"?}` in both directions."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec

from gateway.contract.errors import GatewayError, Unauthorized
from gateway.contract.room_events import RoomEvent
from gateway.dialects.json_encoding import json_bytes
from gateway.rooms import wire
from gateway.rooms.client_events import AUTH, Auth, auth_of
from gateway.rooms.event_rates import Flood
from gateway.rooms.participant import Participant, refusal
from gateway.rooms.services import RoomServices
from gateway.web.door.callers import LOCAL
from gateway.web.services import Services
from gateway.web.sockets.room_writer import RoomWriter
from gateway.web.sockets.speaker import MAX_REFUSED, BadFrame, Frame, OpenSocket


class ClientFrame(msgspec.Struct):
    """ack: the client's number or name for the answer; None: only errors are answered."""

    event: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    data: Any = None
    ack: int | Annotated[str, msgspec.Meta(max_length=64)] | None = None


class PlainOutlet(RoomWriter):
    """Implements gateway.rooms.participant.Outlet.

    Attributes:
        on_dismissed: Participant.dismissed.
    """

    __slots__ = ("on_dismissed",)

    on_dismissed: Callable[[int], str | None]

    def hear(self, event: RoomEvent) -> None:
        self.write(event.encoded(wire.named_object))

    def dismiss(self, session_id: int) -> None:
        key = self.on_dismissed(session_id)
        if key is not None:
            self.write(wire.named(*wire.dismissed(key)))


class RoomSpeaker:
    """Implements gateway.web.sockets.speaker.Speaker."""

    def __init__(self, gateway: Services, rooms: RoomServices, socket: OpenSocket) -> None:
        self._gateway = gateway
        self._rooms = rooms
        self._socket = socket
        self._participant: Participant | None = None
        self._refused = 0
        self._outlet = PlainOutlet(socket.connection, gateway.slow_readers)
        self.caller = LOCAL

    def takes(self, frame: Frame) -> bool:
        return "event" in frame.fields

    async def hear(self, frame: Frame) -> None:
        try:
            said = msgspec.json.decode(frame.raw, type=ClientFrame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadFrame(
                f"A frame of a room must have an event, and may have data and ack: {error}."
            ) from None
        try:
            self._answer(said, await self._done(said))
        except Flood as error:
            self._answer(said, refusal(error))
            self._socket.end(str(error))
        except Unauthorized as error:
            self._answer(said, refusal(error))
            self._count_refusal()
            if self._participant is not None:
                self._socket.end(str(error))
        except GatewayError as error:
            self._socket.log_refusal(error)
            self._answer(said, refusal(error))
            self._count_refusal()

    def end(self, reason: str) -> None:
        self._socket.end(reason)

    def leave(self) -> None:
        self._gateway.room_connections.discard(self)
        if self._participant is not None:
            self._participant.leave()

    def connection_writable(self) -> None:
        self._outlet.connection_writable()

    def _count_refusal(self) -> None:
        self._refused += 1
        if self._refused >= MAX_REFUSED:
            self._socket.end("Too many events were refused before the first valid one.")

    async def _done(self, said: ClientFrame) -> Mapping[str, Any]:
        if said.event == AUTH and self._participant is None:
            await self._begin(auth_of(said.data))
            return {"ok": True}
        participant = self._participant or await self._begin(Auth())
        return await participant.take(said.event, said.data)

    async def _begin(self, auth: Auth) -> Participant:
        label, key = auth.label, auth.api_key
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self.caller = await self._socket.admit(headers, auth.ticket)
        participant = self._participant = Participant(
            self._rooms,
            self.caller,
            self._outlet,
            label,
            on_refused=self._socket.log_refusal,
        )
        self._outlet.on_dismissed = participant.dismissed
        self._gateway.room_connections.add(self)
        return participant

    def _answer(self, said: ClientFrame, answer: Mapping[str, Any]) -> None:
        if said.ack is not None:
            self._outlet.write(json_bytes({"event": "ack", "ack": said.ack, "data": answer}))
        elif "error" in answer:
            fields = {"event": said.event, **answer["error"]}
            self._outlet.write(wire.named("error", json_bytes(fields)))
