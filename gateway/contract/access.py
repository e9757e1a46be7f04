"""The interface of access control: which users may read, write to and manage a session."""

from typing import Protocol


class Access(Protocol):
    """Decides about sessions, their messages and their replies, stored or still running.

    Callers raise NotFound for a user without access, exactly as if the session did not exist. The methods
    neither block nor do I/O: the store calls them within a transaction.
    """

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        """Return whether the user may read a session's messages and follow its replies.

        Args:
            user_id: the user of the request.
            owner: the user id of the session's owner; for a reply without a session, of the user who
                requested it.
            session_id: 0 for a reply that is stored in no session.
        """
        ...

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        """Return whether the user may add messages to a session and stop its replies."""
        ...

    def is_shared(self, session_id: int) -> bool:
        """Return whether the session is a room. Replies in it need no reader."""
        ...

    def may_manage(self, user_id: str, owner: str, session_id: int) -> bool:
        """Return whether the user may rename or delete a session."""
        ...
