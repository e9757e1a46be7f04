"""One namespace of a socket.io client: a participant of rooms."""

from collections.abc import Callable, Mapping

from gateway.contract.errors import GatewayError, Unauthorized
from gateway.contract.limits import StreamPlace
from gateway.contract.room_events import RoomEvent
from gateway.core.key_ring import Caller
from gateway.dialects.json_encoding import json_bytes
from gateway.rooms import wire
from gateway.rooms.event_rates import Flood
from gateway.rooms.participant import OnRefused, Participant, refusal
from gateway.rooms.services import RoomServices
from gateway.web.socket_io.engine_socket import EngineSocket

Encode = Callable[[RoomEvent], bytes]

NAMESPACES = ("/", "/ws")
"""The path of a client's URL is a namespace: with `io("ws://host/ws")`, it is `/ws`."""

# The first digit is Engine.IO's type of a packet, the second one socket.io's.
_EVENT, _ACK = b"42", b"43"


def _prefix(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","


def _event(prefix: bytes, name: str, data: bytes) -> bytes:
    return b'%b%b["%b",%b]' % (_EVENT, prefix, name.encode(), data)


def _encoder(namespace: str) -> Encode:
    prefix = _prefix(namespace)
    return lambda event: _event(prefix, wire.name_of(event), event.encoded(wire.data_of))


# One function for each namespace: listeners that use the same one share the bytes.
_ENCODERS: Mapping[str, Encode] = {namespace: _encoder(namespace) for namespace in NAMESPACES}


class RoomClient:
    """Implements gateway.rooms.participant.Outlet, and gateway.rooms.connections.RoomConnection.

    Args:
        close_soon: closes the client's connection, for a reason.
        place: counts it against the caller's streams; None without a limit.
        label: the user's name in open mode.
    """

    def __init__(
        self,
        rooms: RoomServices,
        socket: EngineSocket,
        namespace: str,
        caller: Caller,
        close_soon: Callable[[EngineSocket, str], None],
        *,
        place: StreamPlace | None,
        label: str | None,
        on_refused: OnRefused,
    ) -> None:
        self.caller = caller
        self.socket = socket
        self._prefix = _prefix(namespace)
        self._encode = _ENCODERS[namespace]
        self._close_soon = close_soon
        self._place = place
        self._participant = Participant(rooms, caller, self, label, on_refused)

    def hear(self, event: RoomEvent) -> None:
        self.socket.write(event.encoded(self._encode))

    def dismiss(self, session_id: int) -> None:
        key = self._participant.dismissed(session_id)
        if key is not None:
            self._emit(*wire.dismissed(key))

    async def begin_catching_up(self) -> None:
        await self.socket.begin_catching_up()

    def end_catching_up(self) -> None:
        self.socket.end_catching_up()

    def end(self, reason: str) -> None:
        self._close_soon(self.socket, reason)

    async def take(self, name: str, data: object, ack: int | None) -> None:
        """Take an event, and answer it.

        ack: the client's number for the answer; None: only errors are sent, as events.
        """
        end: GatewayError | None = None
        try:
            answer = await self._participant.take(name, data)
        except (Flood, Unauthorized) as error:
            answer, end = refusal(error), error
        if ack is not None:
            self.socket.write(b"%b%b%d[%b]" % (_ACK, self._prefix, ack, json_bytes(answer)))
        elif "error" in answer:
            self._emit("error", json_bytes({"event": name, **answer["error"]}))
        if end is not None:
            self.end(str(end))

    def leave(self) -> None:
        self._participant.leave()
        if self._place is not None:
            self._place.leave()

    def _emit(self, name: str, data: bytes) -> None:
        self.socket.write(_event(self._prefix, name, data))
