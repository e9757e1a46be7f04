"""Deletes old messages and whole users: the interface of its store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.contract.audit import Actor


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Numbers of deleted rows."""

    messages: int
    sessions: int

    def __add__(self, other: "Forgotten") -> "Forgotten":
        return Forgotten(self.messages + other.messages, self.sessions + other.sessions)


class DeletionStore(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses."""

    async def forget(self, *, before: datetime | None, keep: int) -> Forgotten:
        """Delete finished messages in small batches, between which other changes are made.

        Args:
            before: messages that are older are deleted, and sessions without messages whose last activity is
                older; None: none.
            keep: a session's latest messages that are kept, at least 2; the kept ones begin with a question.
                0: all.
        """
        ...

    async def forget_changes(self, before: datetime) -> int:
        """Delete the entries of the audit log that are older, and return their number."""
        ...

    async def erase_user(self, user_id: str, by: Actor | None = None) -> Mapping[str, int]:
        """Delete all that belongs to a user in small batches, and return the numbers of rows by kind.

        Keys are revoked, and stay without user and name. If `by` names the author, the audit log has an
        entry from the first batch on, and another one with the numbers from the last one on. Raises Conflict
        if a reply of the user is running; rows that were deleted until then stay deleted.
        """
        ...
