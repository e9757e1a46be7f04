"""Access control by ownership and by membership of rooms. Implements gateway.contract.access.Access."""

from collections.abc import Callable, Mapping, Sequence

from gateway.contract.rooms import Member, Role, RoomStore
from gateway.core.access import OwnerAccess


class MemberAccess(OwnerAccess):
    """The owner of a session has full access to it; the members of its room have that of their role.

    In a room only the role counts: a removed member has no access to the replies that it asked for either.

    The memberships of all rooms are kept in memory, because access is asked for within transactions.

    Attributes:
        on_change: called when memberships have changed; it must not block or raise.
    """

    def __init__(self) -> None:
        self._roles: dict[int, Mapping[str, Role]] = {}
        self._devices: dict[str, dict[int, Role]] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._version: tuple[int, int] | None = None
        self._puts = 0

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        roles = self._roles.get(session_id)
        return super().may_see(user_id, owner, session_id) if roles is None else user_id in roles

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        roles = self._roles.get(session_id)
        if roles is None:
            return super().may_write(user_id, owner, session_id)
        return roles.get(user_id) in ("owner", "member")

    def is_shared(self, session_id: int) -> bool:
        return session_id in self._roles

    def is_watcher(self, user_id: str, session_id: int) -> bool:
        """True if the user may read the room and not write into it."""
        return self._roles.get(session_id, {}).get(user_id) == "watcher"

    def count_users(self, session_id: int) -> int:
        """Return the number of users in the room; 0 if the session is none."""
        return len(self._roles.get(session_id, ()))

    def is_member(self, user_id: str, session_id: int) -> bool:
        """True if the session is a room and the user one of its members; its owner is one too."""
        return user_id in self._roles.get(session_id, ())

    def put(self, session_id: int, members: Sequence[Member]) -> None:
        """Replace the members of one room, after a change that this gateway has made."""
        self._puts += 1
        self._roles[session_id] = _roles(members)
        for rooms in self._devices.values():
            rooms.pop(session_id, None)
        self._put_devices(session_id, members)
        self.on_change()

    async def reload(self, rooms: RoomStore) -> bool:
        """Read all memberships if any has changed, also by another gateway. Return True if one has."""
        puts = self._puts
        read = await rooms.memberships(self._version)
        if read is None:
            return False
        if puts != self._puts:  # what was read may be older than what was put meanwhile
            return await self.reload(rooms)
        self._version = read.version
        self._roles = {session_id: _roles(members) for session_id, members in read.by_session.items()}
        self._devices = {}
        for session_id, members in read.by_session.items():
            self._put_devices(session_id, members)
        self.on_change()
        return True

    def rooms_of_device(self, device: str) -> Mapping[int, Role]:
        """Return the device's roles by the session ids of its rooms."""
        return self._devices.get(device, {})

    def has_devices(self, session_id: int) -> bool:
        """True if a device is a member of the room."""
        return any(session_id in rooms for rooms in self._devices.values())

    def _put_devices(self, session_id: int, members: Sequence[Member]) -> None:
        for member in members:
            if member.kind == "device":
                self._devices.setdefault(member.name, {})[session_id] = member.role


def _roles(members: Sequence[Member]) -> Mapping[str, Role]:
    return {member.name: member.role for member in members if member.kind == "user"}
