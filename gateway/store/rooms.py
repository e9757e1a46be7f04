"""The RoomStore in a SQL database."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.access import Access
from gateway.contract.errors import Conflict, Forbidden, NotFound, QuotaReached, RequestRejected
from gateway.contract.rooms import Member, Memberships, StoredRoom
from gateway.contract.signals import MEMBERS
from gateway.store.announcements import announce
from gateway.store.columns import MAX_ID, storable
from gateway.store.room_table import room_members
from gateway.store.rows import stored_session
from gateway.store.tables import messages, sessions
from gateway.store.writer import Write, Writer

_OWNER_FIRST = (case((room_members.c.role == "owner", 0), else_=1), room_members.c.id)
_OF_ROOM = room_members.c.session_id == bindparam("room")
_THIS = (
    _OF_ROOM
    & (room_members.c.kind == bindparam("member_kind"))
    & (room_members.c.name == bindparam("member_name"))
)
_SESSION_OWNER = select(sessions.c.user_id).where(sessions.c.id == bindparam("room")).with_for_update()
_MEMBERS = select(room_members).where(_OF_ROOM).order_by(*_OWNER_FIRST)
_OWNER_ROW = _OF_ROOM & (room_members.c.role == "owner")
_INVITATION_NUMBER = select(room_members.c.id).where(_OWNER_ROW)
_INSERT = insert(room_members)
_DELETE = delete(room_members).where(_THIS)
_COUNT_ROOMS = select(func.count()).where(
    room_members.c.kind == "user", room_members.c.name == bindparam("wanted"), room_members.c.role == "owner"
)
_MINE = (
    select(sessions)
    .join(room_members, room_members.c.session_id == sessions.c.id)
    .where(room_members.c.kind == "user", room_members.c.name == bindparam("wanted"))
    .order_by(sessions.c.updated_at.desc(), sessions.c.id.desc())
    .limit(bindparam("most"))
)
_OF_ROOMS = (
    select(room_members)
    .where(room_members.c.session_id.in_(bindparam("rooms", expanding=True)))
    .order_by(*_OWNER_FIRST)
)
_LAST_MESSAGE = select(func.coalesce(func.max(messages.c.id), 0)).where(
    messages.c.session_id == bindparam("room"), messages.c.id < bindparam("before")
)
_VERSION = select(func.coalesce(func.max(room_members.c.id), 0), func.count()).select_from(room_members)
_EVERYBODY = select(room_members).order_by(room_members.c.id)


class RoomLimits(NamedTuple):
    """Maximum members of a room, the owner included, and maximum rooms that a user owns."""

    members: int = 200
    rooms_per_user: int = 100


ROOM_LIMITS = RoomLimits()


class _Addition(NamedTuple):
    """user_id: who adds them; None for members that come by an invitation, who keep the role they have.
    number: of the invitation."""

    user_id: str | None
    session_id: int
    members: Sequence[Member]
    now: datetime
    number: int | None = None


class _Removal(NamedTuple):
    user_id: str
    session_id: int
    member: Member
    now: datetime


class SqlRooms:
    """Implements gateway.contract.rooms.RoomStore.

    Args:
        reading: yields a connection.
        clock: returns the time, aware.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
        access: Access,
        limits: RoomLimits,
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock
        self._access = access
        self._limits = limits
        self._add = Write[_Addition, Sequence[Member]](self._add_all, rank=0)
        self._remove = Write[_Removal, Sequence[Member]](self._remove_all, rank=0)

    async def all(self, user_id: str, *, limit: int = 200) -> Sequence[StoredRoom]:
        async with self._reading() as connection:
            rooms = (await connection.execute(_MINE, {"wanted": user_id, "most": limit})).all()
            wanted = {"rooms": [room.id for room in rooms]}
            rows = (await connection.execute(_OF_ROOMS, wanted)).all() if rooms else []
        return [
            StoredRoom(stored_session(room), [_member(row) for row in rows if row.session_id == room.id])
            for room in rooms
        ]

    async def members(self, session_id: int) -> Sequence[Member]:
        async with self._reading() as connection:
            return [_member(row) for row in await connection.execute(_MEMBERS, {"room": session_id})]

    async def add(self, user_id: str, session_id: int, members: Sequence[Member]) -> Sequence[Member]:
        return await self._writer.do(self._add, _Addition(user_id, session_id, members, self._clock()))

    async def invitation_number(self, session_id: int) -> int:
        async with self._reading() as connection:
            number = await connection.scalar(_INVITATION_NUMBER, {"room": session_id})
        if number is None:
            raise NotFound("No such session.")
        return int(number)

    async def join(self, session_id: int, member: Member, number: int) -> Sequence[Member]:
        addition = _Addition(None, session_id, [member], self._clock(), number)
        return await self._writer.do(self._add, addition)

    async def remove(self, user_id: str, session_id: int, member: Member) -> Sequence[Member]:
        return await self._writer.do(self._remove, _Removal(user_id, session_id, member, self._clock()))

    async def last_message(self, session_id: int, *, before: int | None = None) -> int:
        values = {"room": session_id, "before": MAX_ID if before is None else before}
        async with self._reading() as connection:
            return int(await connection.scalar(_LAST_MESSAGE, values) or 0)

    async def memberships(self, known: tuple[int, int] | None = None) -> Memberships | None:
        async with self._reading() as connection:
            last_id, count = (await connection.execute(_VERSION)).one()
            if (version := (last_id, count)) == known:
                return None
            by_session: dict[int, list[Member]] = {}
            for row in await connection.execute(_EVERYBODY):
                by_session.setdefault(row.session_id, []).append(_member(row))
        return Memberships(version, by_session)

    def _add_all(
        self, connection: Connection, wanted: Sequence[_Addition]
    ) -> list[Sequence[Member] | RequestRejected]:
        return [self._add_some(connection, addition) for addition in wanted]

    def _add_some(self, connection: Connection, addition: _Addition) -> Sequence[Member] | RequestRejected:
        room = addition.session_id
        owner = connection.scalar(_SESSION_OWNER, {"room": room})
        present = self._present(connection, room)
        by_invitation = addition.user_id is None
        if owner is None or (by_invitation and not present):
            return NotFound("No such session.")
        if addition.user_id is not None and not self._access.may_manage(
            storable(addition.user_id), owner, room
        ):
            return NotFound("No such session.")
        if by_invitation and connection.scalar(_INVITATION_NUMBER, {"room": room}) != addition.number:
            return Forbidden("The invitation was withdrawn.")
        new = {(each.kind, storable(each.name)): each for each in addition.members}
        new.pop(("user", owner), None)
        if by_invitation:
            new = {key: each for key, each in new.items() if key not in present}
        if (
            refusal := self._refusal(connection, owner, present, len(present.keys() | new.keys()))
        ) is not None:
            return refusal
        if not present:
            self._insert(connection, room, Member("user", owner, "owner"), addition.now)
        for key, member in new.items():
            if key in present:
                connection.execute(_DELETE, _key(room, member))
            self._insert(connection, room, member, addition.now)
        announce(connection, MEMBERS)
        return list(self._present(connection, room).values())

    def _refusal(
        self, connection: Connection, owner: str, present: object, members: int
    ) -> QuotaReached | None:
        if members > self._limits.members:
            return QuotaReached(
                f"A room has at most {self._limits.members} members (ROOM_MEMBERS), its owner included."
            )
        owned = 0 if present else connection.scalar(_COUNT_ROOMS, {"wanted": owner}) or 0
        if not present and owned >= (most := self._limits.rooms_per_user):
            return QuotaReached(
                f"You own {owned} rooms, and no user may own more than {most} (ROOMS_PER_USER). "
                "Delete one first: DELETE /api/chatbot/sessions/{id}."
            )
        return None

    def _insert(self, connection: Connection, room: int, member: Member, now: datetime) -> None:
        values = {
            "session_id": room,
            "kind": member.kind,
            "name": member.name,
            "role": member.role,
            "created_at": now,
        }
        connection.execute(_INSERT, values)

    def _remove_all(
        self, connection: Connection, wanted: Sequence[_Removal]
    ) -> list[Sequence[Member] | RequestRejected]:
        return [self._remove_one(connection, removal) for removal in wanted]

    def _remove_one(self, connection: Connection, removal: _Removal) -> Sequence[Member] | RequestRejected:
        room, user_id = removal.session_id, storable(removal.user_id)
        owner = connection.scalar(_SESSION_OWNER, {"room": room})
        present = self._present(connection, room)
        key = (removal.member.kind, storable(removal.member.name))
        themselves = key == ("user", user_id) and key in present
        if owner is None or not (themselves or self._access.may_manage(user_id, owner, room)):
            return NotFound("No such session.")
        if key not in present:
            return NotFound("No such member.")
        if present[key].role == "owner":
            return Conflict("The owner cannot leave a room; delete its session instead.")
        connection.execute(_DELETE, _key(room, removal.member))
        if not themselves:
            # The id of the owner's row is the number of the invitations: the removed member may have one.
            as_owner = Member("user", owner, "owner")
            connection.execute(_DELETE, _key(room, as_owner))
            self._insert(connection, room, as_owner, removal.now)
        announce(connection, MEMBERS)
        return [member for other, member in present.items() if other != key]

    def _present(self, connection: Connection, room: int) -> dict[tuple[str, str], Member]:
        rows = connection.execute(_MEMBERS, {"room": room})
        return {(row.kind, row.name): _member(row) for row in rows}


def _key(room: int, member: Member) -> dict[str, Any]:
    return {"room": room, "member_kind": member.kind, "member_name": member.name}


def _member(row: Row[Any]) -> Member:
    return Member(row.kind, row.name, row.role)
