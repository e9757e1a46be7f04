"""Access to sessions: the seam to what decides who may see them, write into them and manage them."""

from typing import Protocol


class Access(Protocol):
    """Decides for every session, message and reply alike: stored ones, and replies in the making.

    A user who may not gets NotFound, exactly as if the session did not exist. The answer is given at once,
    from what is in memory, because the store asks within a transaction and a reader before its next await.
    """

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        """Return whether the user may read a session's messages and follow its replies.

        Args:
            user_id: of the user who asks.
            owner: the user id of the session's owner; for a single reply, of the user who asked for it.
            session_id: 0 for a reply that is kept in no session.
        """
        ...

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        """Return whether the user may ask in a session and stop its replies."""
        ...

    def may_manage(self, user_id: str, owner: str, session_id: int) -> bool:
        """Return whether the user may rename or delete a session."""
        ...
