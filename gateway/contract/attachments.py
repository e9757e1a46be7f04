"""Attachments that a user uploads once and names in messages, and the interface of their store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """An attachment without its bytes. `id` is a uuid."""

    id: str
    name: str
    media_type: str
    size: int
    created_at: datetime


class AttachmentStore(Protocol):
    """Each attachment belongs to one user; another user's raises NotFound, as if it did not exist.

    Each method raises StorageFailed if the database does not answer or refuses. When it returns, its change
    is committed.
    """

    async def add(self, user_id: str, name: str, media_type: str, data: bytes) -> StoredAttachment:
        """Store an attachment. Raises QuotaReached if the user's attachments would exceed their limit."""
        ...

    async def all(self, user_id: str, *, limit: int = 200) -> Sequence[StoredAttachment]:
        """Return the user's attachments, the latest first, at most `limit`."""
        ...

    async def one(self, user_id: str, id: str) -> tuple[StoredAttachment, bytes]: ...

    async def delete(self, user_id: str, id: str) -> None: ...
