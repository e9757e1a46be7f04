"""Rooms: their members change in the store first, and then in the access control of this gateway."""

from collections.abc import Callable, Sequence

from gateway.contract.errors import NotFound
from gateway.contract.rooms import Member, RoomStore, StoredRoom
from gateway.contract.store import StoredSession
from gateway.core.device_owners import DeviceOwners
from gateway.core.members import MemberAccess


class Rooms:
    """Makes sessions rooms, and changes their members.

    on_change: called with the session id of a room whose members have changed; with None if any may have.
    """

    def __init__(
        self,
        rooms: RoomStore,
        access: MemberAccess,
        owners: DeviceOwners,
        on_change: Callable[[int | None], None] = lambda _: None,
    ) -> None:
        self._rooms = rooms
        self._access = access
        self._owners = owners
        self._on_change = on_change

    async def reload(self) -> None:
        """Read the memberships that other gateways may have changed. Raises StorageFailed."""
        if await self._access.reload(self._rooms):
            self._on_change(None)

    async def all(self, user_id: str, *, limit: int) -> Sequence[StoredRoom]:
        """Return the rooms of which the user is a member, the latest active first."""
        return await self._rooms.all(user_id, limit=limit)

    async def one(self, session: StoredSession) -> StoredRoom:
        """Return a room. Raises NotFound for a session that is none."""
        members = await self._rooms.members(session.id)
        if not members:
            raise NotFound("No such room.")
        return StoredRoom(session, members)

    def is_member(self, user_id: str, session_id: int) -> bool:
        """True if the session is a room and the user one of its members."""
        return self._access.is_member(user_id, session_id)

    def is_watcher(self, user_id: str, session_id: int) -> bool:
        """True if the session is a room that the user may only read."""
        return self._access.is_watcher(user_id, session_id)

    async def has_device(self, session: StoredSession, device: str) -> bool:
        """Return whether the session is a room with this device."""
        members = await self._rooms.members(session.id)
        return any(member.kind == "device" and member.name == device for member in members)

    async def add(self, user_id: str, session: StoredSession, members: Sequence[Member]) -> StoredRoom:
        """Add members to the user's session, which becomes a room. See RoomStore.add.

        Raises NotFound for a device of another user: a member gets all messages.
        """
        for member in members:
            if member.kind == "device" and await self._owners.owner_of(member.name, heard=True) != user_id:
                raise NotFound(f"You have no device {member.name}.")
        return self._changed(session, await self._rooms.add(user_id, session.id, members))

    async def invitation_number(self, session: StoredSession) -> int:
        """Return the number of a room's invitations. See RoomStore.invitation_number."""
        return await self._rooms.invitation_number(session.id)

    async def join(self, session: StoredSession, member: Member, number: int) -> StoredRoom:
        """Add a member that has an invitation with this number. See RoomStore.join."""
        return self._changed(session, await self._rooms.join(session.id, member, number))

    async def remove(self, user_id: str, session: StoredSession, member: Member) -> StoredRoom:
        """Remove a member. See RoomStore.remove."""
        return self._changed(session, await self._rooms.remove(user_id, session.id, member))

    def _changed(self, session: StoredSession, members: Sequence[Member]) -> StoredRoom:
        self._access.put(session.id, members)
        self._on_change(session.id)
        return StoredRoom(session, members)
