"""Participants with a hall and a store that only note what they are asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.contract.authors import Author
from gateway.contract.content import Content
from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.room_events import MessagePosted, Person, RoomEvent
from gateway.contract.store import StoredSession
from gateway.core.key_ring import Caller
from gateway.core.room_missed import OnRead
from gateway.core.room_posts import NewMessage, Posted
from gateway.rooms.event_rates import EventRates
from gateway.rooms.participant import Participant
from gateway.rooms.services import RoomServices

NOW = datetime(2030, 1, 2, tzinfo=UTC)


def room(number: int) -> StoredSession:
    """The room with the key `room-N`."""
    return StoredSession(number, f"u-{number}", f"room-{number}", "anna", "", NOW, NOW)


@dataclass
class Place:
    """A place in a room, as the hall gives it. said: what its person has said."""

    who: Author
    after: int | None = None
    said: list[Any] = field(default_factory=list)
    left: bool = False

    def people(self) -> list[Person]:
        return [Person(self.who)]

    def typing(self) -> list[Author]:
        return []

    def say_typing(self, typing: bool) -> None:
        self.said.append(typing)

    def say_presence(self, status: str, metadata: dict[str, Any]) -> None:
        self.said.append((status, metadata))

    def leave(self) -> None:
        self.left = True


class Outlet:
    """Notes what the participant's hall does with it."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def hear(self, event: RoomEvent) -> None: ...

    def dismiss(self, session_id: int) -> None: ...

    async def begin_catching_up(self) -> None:
        self.noted.append("begin")

    def end_catching_up(self) -> None:
        self.noted.append("end")


class Lobby:
    """Rooms 1 to 99. A stranger's room gets the same answer as one that does not exist.

    Attributes:
        places: those that were given, in order.
        posted: the messages that were sent.
        refused: errors that answered events.
        now: seconds of the clock.
        missed: cost of the messages that a listener gets when it joins with `after`.
    """

    def __init__(self, *, per_s: int = 1000, watched: frozenset[int] = frozenset()) -> None:
        self.places: list[Place] = []
        self.posted: list[NewMessage] = []
        self.refused: list[GatewayError] = []
        self.now = 0.0
        self.missed = 0
        self.stands = True
        self.on_join: Callable[[], None] = lambda: None
        hall: Any = self
        self.services = RoomServices(
            hall=hall,
            posts=hall,
            rates=EventRates(per_s, lambda: self.now),
            session_of=self._session_of,
            is_watcher=lambda _, session_id: session_id in watched,
            content_of=self._content_of,
            spend=self._spend,
            renewed=lambda caller: caller if self.stands else None,
        )

    def come(self, caller: Caller | None = None, label: str | None = None) -> tuple[Participant, Outlet]:
        outlet = Outlet()
        caller = caller or Caller("local")
        return Participant(self.services, caller, outlet, label, self.refused.append), outlet

    async def join(
        self,
        user_id: str,
        who: Author,
        session: StoredSession,
        listener: Any,
        *,
        after: int | None,
        on_read: OnRead,
    ) -> Place:
        self.on_join()
        if after is not None:
            on_read(self.missed)
        self.places.append(Place(who, after))
        return self.places[-1]

    async def post(self, new: NewMessage) -> Posted:
        self.posted.append(new)
        id = len(self.posted)
        said = MessagePosted(id, f"uuid-{id}", new.who, new.role, new.content, NOW, client_id=new.client_id)
        return Posted(said, "stream-1" if new.ask else None, is_new=True)

    async def _session_of(self, user_id: str, name: str | int) -> StoredSession:
        number = int(str(name).removeprefix("room-")) if str(name).removeprefix("room-").isdecimal() else 0
        if not 1 <= number <= 99:
            raise NotFound("No such session.")
        return room(number)

    async def _content_of(self, user_id: str, said: Any) -> Content:
        return str(said)

    async def _spend(self, caller: Caller) -> None: ...
