"""The people in one room, and those who type, at all gateways together."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.contract.authors import Author
from gateway.contract.room_events import (
    Person,
    PersonCame,
    PersonWent,
    PresenceChanged,
    RoomListener,
    TypingChanged,
)

TYPES_FOR_S = 5.0
"""Seconds after which a person who said so types no more."""


OnTyping = Callable[[TypingChanged, bool, RoomListener | None], None]
"""Called with a change, True if it happened at this gateway, and the listener that caused it. It must not
block or raise."""


class RoomPeople:
    """The people of one room. A person may be at several gateways; the latest status counts."""

    def __init__(self) -> None:
        self._at: dict[Author, dict[str, Person]] = {}

    def all(self) -> list[Person]:
        return [self._shown(who) for who in self._at]

    def at(self, gateway: str) -> list[Person]:
        """Return the people at one gateway, as it has told."""
        return [at[gateway] for at in self._at.values() if gateway in at]

    def put(self, gateway: str, person: Person) -> PersonCame | PresenceChanged | None:
        """Note that a person is at a gateway, with this status. Return the change, if it is one."""
        at = self._at.setdefault(person.who, {})
        before = self._shown(person.who) if at else None
        at.pop(gateway, None)
        at[gateway] = person
        if before is None:
            return PersonCame(person.who)
        if before == person:
            return None
        return PresenceChanged(person.who, person.status, person.metadata)

    def remove(self, gateway: str, who: Author) -> PersonWent | None:
        """Note that a person is not at a gateway any more. Return the change, if it is one."""
        at = self._at.get(who)
        if at is None or at.pop(gateway, None) is None or at:
            return None
        del self._at[who]
        return PersonWent(who)

    def _shown(self, who: Author) -> Person:
        *_, latest = self._at[who].values()
        return latest


class TypingPeople:
    """The people who type in one room.

    on_change: see OnTyping.
    """

    def __init__(self, on_change: OnTyping) -> None:
        self._on_change = on_change
        self._until: dict[Author, asyncio.TimerHandle | None] = {}

    def all(self) -> Sequence[Author]:
        return list(self._until)

    def put(
        self, who: Author, typing: bool, *, here: bool = True, listener: RoomListener | None = None
    ) -> None:
        """Note that a person types, or has stopped.

        Args:
            who: the person.
            typing: False if it has stopped.
            here: False if the person types at another gateway, which will also tell the end.
            listener: of the person; it needs no answer.
        """
        known = who in self._until
        if known and (timer := self._until[who]) is not None:
            timer.cancel()
        if typing:
            later = asyncio.get_running_loop().call_later
            self._until[who] = later(TYPES_FOR_S, self.put, who, False) if here else None
        elif known:
            del self._until[who]
        if typing != known:
            self._on_change(TypingChanged(who, typing), here, listener)

    def close(self) -> None:
        """Cancel all timers."""
        for timer in self._until.values():
            if timer is not None:
                timer.cancel()
        self._until.clear()
        self._on_change = _ignored


def _ignored(change: TypingChanged, here: bool, listener: RoomListener | None) -> None:
    """Take the place of a room's method: with it, a closed room would be collected seldom."""
