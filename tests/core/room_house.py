"""A room hall around tests/core/house, with listeners that can be waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.contract.access import Access
from gateway.contract.authors import Author
from gateway.contract.replies_elsewhere import RepliesElsewhere
from gateway.contract.requests import ChatRequest
from gateway.contract.room_events import (
    Happening,
    MessagePosted,
    PersonCame,
    PersonWent,
    PresenceChanged,
    ReplyBegan,
    ReplyGrew,
    ReplyOver,
    RoomEvent,
    TypingChanged,
)
from gateway.contract.store import StoredSession
from gateway.core.access import OwnerAccess
from gateway.core.room_channel import Place
from gateway.core.room_hall import RoomHall
from gateway.core.room_missed import OnRead, free
from gateway.core.room_signals import RoomSignals
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.core.house import USER, House, house, no_pause
from transports.scripted import Script

ANNA, BEN = Author("user", "anna"), Author("user", "ben")


class Gate:
    """A step of a script that waits."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


def last_line(request: ChatRequest) -> str:
    """Return the latest question: it is one turn with those whose replies are running or have no text."""
    return str(request.turns[-1].content).splitlines()[-1]


def spelled(what: Happening) -> tuple[Any, ...]:
    """Return an event in short."""
    match what:
        case MessagePosted():
            return ("message", str(what.author), what.content)
        case ReplyBegan():
            return ("began", what.text)
        case ReplyGrew():
            return ("grew", what.position, what.text)
        case ReplyOver():
            return ("over", what.status, what.chars)
        case PersonCame(who):
            return ("came", who.name)
        case PersonWent(who):
            return ("went", who.name)
        case PresenceChanged(who, status, metadata):
            return ("presence", who.name, status, dict(metadata))
        case TypingChanged(who, typing):
            return ("typing", who.name, typing)
        case _:
            return ("members",)


@dataclass
class Ear:
    """Implements RoomListener."""

    events: list[RoomEvent] = field(default_factory=list)
    dismissed: list[int] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: RoomEvent) -> None:
        self.events.append(event)
        self._news.set()

    def dismiss(self, session_id: int) -> None:
        self.dismissed.append(session_id)
        self._news.set()

    @property
    def heard(self) -> list[tuple[Any, ...]]:
        return [spelled(event.what) for event in self.events]

    @property
    def text(self) -> str:
        """The text of the only reply, which must come without gaps and repeats."""
        text = ""
        for event in self.events:
            if isinstance(event.what, ReplyBegan):
                text = event.what.text
            elif isinstance(event.what, ReplyGrew):
                assert event.what.position == len(text)
                text += event.what.text
        return text

    async def until(self, done: Callable[[], object]) -> None:
        while not done():
            self._news.clear()
            await self._news.wait()

    async def end(self) -> ReplyOver:
        await self.until(lambda: any(isinstance(event.what, ReplyOver) for event in self.events))
        return next(event.what for event in self.events if isinstance(event.what, ReplyOver))


def afters(ear: Ear) -> list[int | None]:
    """Return RoomEvent.after of all events except pieces of replies."""
    return [event.after for event in ear.events if not isinstance(event.what, ReplyGrew)]


@dataclass
class RoomHouse:
    home: House
    hall: RoomHall
    session: StoredSession

    async def join(
        self, ear: Ear, who: Author = ANNA, after: int | None = None, on_read: OnRead = free
    ) -> Place:
        return await self.hall.join(USER, who, self.session, ear, after=after, on_read=on_read)


@asynccontextmanager
async def room_house(
    tmp_path: Path,
    script: Script,
    *,
    access: Access | None = None,
    hub: LocalHub | None = None,
    elsewhere: RepliesElsewhere | None = None,
    name: str = "one",
    **more: Any,
) -> AsyncIterator[RoomHouse]:
    async with house(tmp_path, script, access=access, **more) as home:
        signals = LocalSignals(name, hub or LocalHub())
        hall = RoomHall(
            home.runs,
            home.store,
            home.news,
            access or OwnerAccess(),
            RoomSignals(signals, name),
            home.last_message,
            elsewhere,
            sleep=no_pause,
        )
        async with signals.running(), hall.running():
            yield RoomHouse(home, hall, await home.store.create_session(USER, "room"))


def held_messages(room: RoomHouse) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold up reads of the store's messages. Returns an event that is set at the first, and one to set."""
    store, reading, may_read = room.home.store, asyncio.Event(), asyncio.Event()
    messages = store.messages

    async def slow(*args: object, **more: object) -> object:
        reading.set()
        await may_read.wait()
        return await messages(*args, **more)  # type: ignore[arg-type]

    store.messages = slow  # type: ignore[method-assign, assignment]
    return reading, may_read
