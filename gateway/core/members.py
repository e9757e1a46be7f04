"""Access control by ownership and by membership of rooms. Implements gateway.contract.access.Access."""

from collections.abc import Mapping, Sequence

from gateway.contract.rooms import Member, Role, RoomStore
from gateway.core.access import OwnerAccess


class MemberAccess(OwnerAccess):
    """The owner of a session has full access to it; the members of its room have that of their role.

    The memberships of all rooms are kept in memory, because access is asked for within transactions.
    """

    def __init__(self) -> None:
        self._roles: dict[int, Mapping[str, Role]] = {}
        self._version: tuple[int, int] | None = None

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        return super().may_see(user_id, owner, session_id) or self.is_member(user_id, session_id)

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        is_member = self._roles.get(session_id, {}).get(user_id) == "member"
        return is_member or super().may_write(user_id, owner, session_id)

    def is_member(self, user_id: str, session_id: int) -> bool:
        """True if the session is a room and the user one of its members; its owner is one too."""
        return user_id in self._roles.get(session_id, ())

    def put(self, session_id: int, members: Sequence[Member]) -> None:
        """Replace the members of one room, after a change that this gateway has made."""
        self._roles[session_id] = _roles(members)

    async def reload(self, rooms: RoomStore) -> None:
        """Read all memberships if any has changed, also by another gateway."""
        read = await rooms.memberships(self._version)
        if read is not None:
            self._version = read.version
            self._roles = {session_id: _roles(members) for session_id, members in read.by_session.items()}


def _roles(members: Sequence[Member]) -> Mapping[str, Role]:
    return {member.name: member.role for member in members if member.kind == "user"}
