"""`GET /api/chatbot/rooms/{id}/events`: a stream of a room's events, for those who only watch."""

from collections.abc import Callable

from gateway.contract.authors import Author
from gateway.contract.errors import BadRequest
from gateway.contract.room_events import RoomEvent
from gateway.core.key_ring import Caller
from gateway.dialects.sse_frames import data_frame, id_frame, with_id
from gateway.rooms import wire
from gateway.web.chat.session_names import session_of
from gateway.web.door.callers import caller_of
from gateway.web.door.credentials import Credentials
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.endpoint import path_id
from gateway.web.http.last_event_ids import last_event_id
from gateway.web.http.sse_writer import Pulse, SseWriter, send_head
from gateway.web.services import Services
from gateway.web.sockets.room_writer import MAX_WAITING_BYTES


class RoomEvents:
    """Sends the messages after `Last-Event-ID`, the replies that are being generated, then new events.

    RoomEvent.after is the id of its frame.
    """

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        caller = caller_of(scope)
        session = await session_of(gateway.store, caller.user_id, path_id(scope))
        after = _last_message_id(scope)
        if scope["method"] == "HEAD":
            await send_head(send)
            return
        rate = gateway.event_rates.of(caller)
        if after is not None:
            rate.check_missed()
        allowance = caller.allowance
        counted = None if allowance is None else await gateway.listeners.take(allowance.streams)
        credentials = Credentials(gateway)
        stream = RoomStream(connection_of(scope), gateway.pulse, lambda: credentials.stand(caller))
        place = None
        try:
            who = _who(caller)
            place = await gateway.hall.join(
                caller.user_id, who, session, StreamListener(stream), after=after, on_read=rate.charge_missed
            )
            stream.add(id_frame(str(place.after)))
            await stream.serve(send)
        finally:
            if place is not None:
                place.leave()
            if counted is not None:
                counted.leave()


class RoomStream(SseWriter):
    """One client's connection. may_listen: returns False once the client's credentials are not valid."""

    __slots__ = ("_is_served", "_may_listen", "_waiting", "_waiting_bytes")

    def __init__(self, connection: Connection, pulse: Pulse, may_listen: Callable[[], bool]) -> None:
        super().__init__(connection, pulse)
        self._may_listen = may_listen
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._is_served = False

    async def serve(self, send: Send) -> None:
        """Answer the request. Returns when the client disconnects, or may not listen any more."""
        try:
            await self.begin(send)
            self._is_served = True
            self.hear()
            await self.until_over(send)
        finally:
            self.leave()

    def add(self, frame: bytes) -> None:
        """Send a frame. A client that does not read is disconnected, and comes back with the last id."""
        if self._is_served and self._waiting_bytes > MAX_WAITING_BYTES:
            self.abort()
            return
        self._waiting.append(frame)
        if self._is_served:
            self._waiting_bytes += len(frame)
            self.hear()

    def write_news(self) -> None:
        if self._waiting and self._is_served:
            self.write(b"".join(self._waiting))
            self._waiting.clear()
            self._waiting_bytes = 0

    def beat(self, silent_since: float) -> None:
        if self._may_listen():
            super().beat(silent_since)
        else:
            self.end(b"")


class StreamListener:
    """Implements RoomListener."""

    def __init__(self, stream: RoomStream) -> None:
        self._stream = stream

    def hear(self, event: RoomEvent) -> None:
        self._stream.add(event.encoded(_frame))

    def dismiss(self, session_id: int) -> None:
        self._stream.end(b"")


def _who(caller: Caller) -> Author:
    return Author("user", caller.user_id)


def _frame(event: RoomEvent) -> bytes:
    frame = data_frame(event.encoded(wire.named_object))
    return frame if event.after is None else with_id(frame, str(event.after))


def _last_message_id(scope: Scope) -> int | None:
    """Return the id of the last event. Raises BadRequest."""
    said = last_event_id(scope)
    if not said:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) <= 18):
        raise BadRequest("Last-Event-ID must be the id of a message.")
    return int(said)
