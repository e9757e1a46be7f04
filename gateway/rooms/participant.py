"""One connection's part in its rooms, for all kinds of sockets: takes the client's events and answers."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gateway.contract.authors import Author
from gateway.contract.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    NotFound,
    QuotaReached,
    Unauthorized,
    Unprocessable,
)
from gateway.contract.misfits import misfit
from gateway.contract.room_events import RoomEvent, RoomListener
from gateway.contract.store import StoredSession
from gateway.core.key_ring import Caller
from gateway.core.room_channel import Place
from gateway.core.room_posts import NewMessage
from gateway.rooms import wire
from gateway.rooms.client_events import (
    Broadcast,
    ClientEvent,
    Join,
    Leave,
    OfRoom,
    Presence,
    Send,
    Typing,
    read,
)
from gateway.rooms.event_rates import MAX_ROOMS, Flood
from gateway.rooms.services import RoomServices

log = logging.getLogger("sluice.rooms")

Answer = Mapping[str, Any]
"""The acknowledgement of an event: `{"ok": True, …}` or `{"error": {"code", "message"}}`."""

OnRefused = Callable[[GatewayError], None]


class NotJoined(Conflict):
    """The event needs a room that the connection has joined."""

    code = "not_joined"


class Outlet(RoomListener, Protocol):
    """The listener of one connection."""

    async def begin_catching_up(self) -> None:
        """Wait until the client has read most of what it was sent. Until `end_catching_up`, what it is sent
        does not count against the limit of a slow reader."""
        ...

    def end_catching_up(self) -> None: ...


class _NoOutlet:
    """Implements Outlet for a client that is gone."""

    def hear(self, event: RoomEvent) -> None: ...

    def dismiss(self, session_id: int) -> None: ...

    async def begin_catching_up(self) -> None: ...

    def end_catching_up(self) -> None: ...


class _Joined(NamedTuple):
    session: StoredSession
    place: Place


class Participant:
    """Events are taken one after the other.

    Args:
        outlet: hears the rooms.
        label: the name of a user in open mode; ignored for callers with a key, ticket or token.
        on_refused: called with each error that answers an event.
    """

    def __init__(
        self,
        rooms: RoomServices,
        caller: Caller,
        outlet: Outlet,
        label: str | None = None,
        on_refused: OnRefused = lambda _: None,
    ) -> None:
        self._rooms = rooms
        self._caller = caller
        self._outlet = outlet
        self._who = Author("user", label if label and caller.allowance is None else caller.user_id)
        self._on_refused = on_refused
        self._rate = rooms.rates.of(caller)
        self._joined: dict[int, _Joined] = {}
        """By session id; the room that was joined last is the last one."""
        self._joining: int | None = None
        self._gone = False

    async def take(self, name: str, data: object) -> Answer:
        """Return the answer to one event. data: its JSON as Python values.

        Raises Flood if the client must be disconnected, Unauthorized if its credentials are no longer valid.
        """
        try:
            caller = self._rooms.renewed(self._caller)
            if caller is None:
                raise Unauthorized("The API key, ticket or token of this connection is no longer valid.")
            self._caller = caller
            self._rate.spend(is_join=name in {"room:join", "room:leave"})
            return {"ok": True, **await self._done(name, read(name, data))}
        except GatewayError as error:
            self._on_refused(error)
            if isinstance(error, Flood | Unauthorized):
                raise
            return refusal(error)
        except Exception:
            log.exception("an event of a room's participant failed with an unexpected error")
            return {"error": {"code": "internal", "message": "Internal error of the gateway: see its log."}}

    def dismissed(self, session_id: int) -> str | None:
        """Forget a room that the outlet hears no more. Return its key; None if it was not joined."""
        if self._joining == session_id:
            self._joining = None
        joined = self._joined.pop(session_id, None)
        return None if joined is None else joined.session.key

    def leave(self) -> None:
        """Leave all rooms. The outlet is let go: each has the other, and cycles are collected seldom."""
        self._gone = True
        self._outlet = _NoOutlet()
        while self._joined:
            self._joined.popitem()[1].place.leave()

    async def _done(self, name: str, event: ClientEvent) -> Answer:
        match event:
            case Join():
                return await self._join(event)
            case Leave():
                return await self._leave(event)
            case Send():
                id = event.id if event.client_id is None else event.client_id
                return await self._post(event, event.content, id, ask=event.ask, model=event.model)
            case Broadcast(message=message):
                if message is None:
                    raise misfit("message", "is required")
                role = "assistant" if message.role == "assistant" else "user"
                more = {"origin": "broadcast", "role": role, "except_for": self._outlet}
                return await self._post(event, message.content, message.id, **more)
            case Typing():
                joined = await self._place(event)
                self._check_may_write(joined.session)
                joined.place.say_typing(name == "typing:start")
                return {"roomId": joined.session.key}
            case Presence():
                return await self._say_presence(event)

    async def _join(self, event: Join) -> Answer:
        if event.room_id is None:
            raise misfit("roomId", "is required")
        if event.after is not None:
            self._rate.check_missed()
        user_id, rooms = self._caller.user_id, self._rooms
        session = await rooms.session_of(user_id, event.room_id)
        before = self._joined.pop(session.id, None)
        if before is not None and event.after is None:
            self._joined[session.id] = before
            return _room(before, self._who)
        if before is not None:
            before.place.leave()
        if len(self._joined) >= MAX_ROOMS:
            raise QuotaReached(f"A connection may be in {MAX_ROOMS} rooms: leave one.")
        await self._outlet.begin_catching_up()
        self._joining = session.id
        try:
            place = await rooms.hall.join(
                user_id,
                self._who,
                session,
                self._outlet,
                after=event.after,
                on_read=self._rate.charge_missed,
            )
            if self._joining is None or self._gone:
                place.leave()
                raise NotFound("No such session.")
        finally:
            self._joining = None
            self._outlet.end_catching_up()
        joined = self._joined[session.id] = _Joined(session, place)
        return _room(joined, self._who)

    async def _leave(self, event: Leave) -> Answer:
        session = await self._session(event)
        joined = self._joined.pop(session.id, None)
        if joined is not None:
            joined.place.leave()
        return {"roomId": session.key}

    async def _post(self, event: OfRoom, content: Any, client_id: str | int | None, **more: Any) -> Answer:
        user_id, rooms = self._caller.user_id, self._rooms
        session = await self._session(event)
        self._check_may_write(session)
        await rooms.spend(self._caller)
        posted = await rooms.posts.post(
            NewMessage(
                user_id=user_id,
                who=self._who,
                session_id=session.id,
                content=await rooms.content_of(user_id, content),
                client_id=None if client_id is None else str(client_id),
                allowance=self._caller.allowance,
                **more,
            )
        )
        message = posted.message
        answer: dict[str, Any] = {
            "roomId": session.key,
            "id": message.client_id or message.uuid,
            "messageId": message.message_id,
        }
        return answer if posted.stream_id is None else {**answer, "streamId": posted.stream_id}

    async def _say_presence(self, event: Presence) -> Answer:
        rooms = list(self._joined.values()) if event.room_id is None else [await self._place(event)]
        for joined in rooms:
            joined.place.say_presence(event.status, event.metadata)
        return {"status": event.status}

    async def _place(self, event: OfRoom) -> _Joined:
        """Return the event's room. Raises NotFound without access, NotJoined."""
        joined = self._joined.get((await self._session(event)).id)
        if joined is None:
            raise NotJoined("Join the room first.")
        return joined

    async def _session(self, event: OfRoom) -> StoredSession:
        """Return the event's session. Raises NotFound without access, NotJoined."""
        if event.room_id is None:
            if not self._joined:
                raise NotJoined("Join a room first, or send roomId.")
            return next(reversed(self._joined.values())).session
        for session, _ in self._joined.values():
            if event.room_id in (session.key, session.uuid, session.id):
                return session
        return await self._rooms.session_of(self._caller.user_id, event.room_id)

    def _check_may_write(self, session: StoredSession) -> None:
        if self._rooms.is_watcher(self._caller.user_id, session.id):
            raise Forbidden("You only watch this room, so you cannot write into it.")


def refusal(error: GatewayError) -> Answer:
    """Return the answer to an event that was refused."""
    fault: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, Unprocessable) and error.fields:
        fault["fields"] = error.fields
    return {"error": fault}


def _room(joined: _Joined, who: Author) -> Answer:
    return {
        "author": wire.author_of(who),
        "roomId": joined.session.key,
        "after": joined.place.after,
        "people": [wire.person_of(person) for person in joined.place.people()],
        "typing": [wire.author_of(author) for author in joined.place.typing()],
    }
