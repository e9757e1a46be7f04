"""Rooms, which are sessions with members, and the interface of their store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.contract.store import StoredSession

MemberKind = Literal["user", "device"]
Role = Literal["owner", "member", "watcher"]
"""An owner manages the room, a member reads and writes, a watcher reads."""

GivenRole = Literal["member", "watcher"]


@dataclass(frozen=True, slots=True)
class Member:
    """A user, by id, or a device, by name."""

    kind: MemberKind
    name: str
    role: Role = "member"


@dataclass(frozen=True, slots=True)
class Memberships:
    """The users and devices of all rooms, by session id. version: equal as long as none has changed."""

    version: tuple[int, int]
    by_session: Mapping[int, Sequence[Member]]


@dataclass(frozen=True, slots=True)
class StoredRoom:
    """A room with its members, the owner first."""

    session: StoredSession
    members: Sequence[Member]


class RoomStore(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses. When a change returns, it
    is committed. Rooms that the user has no access to raise NotFound, as if they did not exist."""

    async def all(self, user_id: str, *, limit: int = 200) -> Sequence[StoredRoom]:
        """Return the rooms of which the user is a member, the latest active first, at most `limit`."""
        ...

    async def members(self, session_id: int) -> Sequence[Member]:
        """Return the members of a session's room, the owner first; empty if the session is no room."""
        ...

    async def add(self, user_id: str, session_id: int, members: Sequence[Member]) -> Sequence[Member]:
        """Make the session a room if it is none, add members, and return all of them.

        The role of a member that is already there changes, except the owner's. Raises NotFound if the user
        may not manage the session, QuotaReached for too many members or rooms.
        """
        ...

    async def invitation_number(self, session_id: int) -> int:
        """Return the number that the room's invitations carry; another one after the owner has removed a
        member. Raises NotFound if the session is no room."""
        ...

    async def join(self, session_id: int, member: Member, number: int) -> Sequence[Member]:
        """Add a member that was invited, unless it is one already, and return all.

        number: of the invitation. Raises Forbidden if the room's is another one by now, NotFound if the
        session is no room any more, and QuotaReached.
        """
        ...

    async def remove(self, user_id: str, session_id: int, member: Member) -> Sequence[Member]:
        """Remove a member and return the others.

        The owner may remove everybody else, which withdraws all invitations; others only themselves. Raises
        NotFound without access or if there is no such member, Conflict for the owner.
        """
        ...

    async def last_message(self, session_id: int, *, before: int | None = None) -> int:
        """Return the id of the session's latest message, of all or of those with ids less than `before`; 0 if
        there is none."""
        ...

    async def memberships(self, known: tuple[int, int] | None = None) -> Memberships | None:
        """Return those of all rooms; None if their version is `known`."""
        ...
