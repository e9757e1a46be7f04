"""Templates: a system prompt and settings under a name, and the seam to whatever keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.contract.requests import Sampling


@dataclass(frozen=True, slots=True)
class Template:
    """What a message that names it starts from; the message's own fields win."""

    name: str
    system_prompt: str | None
    model: str | None
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    id: int
    template: Template
    created_at: datetime
    updated_at: datetime


class TemplateStore(Protocol):
    """Each template belongs to a user; another user's is NotFound, like one that never was.

    Raises StorageFailed when the database does not answer or refuses; whatever returned is committed.
    """

    async def create(self, user_id: str, template: Template) -> StoredTemplate:
        """QuotaReached if the user has as many as a user may."""
        ...

    async def all(self, user_id: str, *, after: int = 0, limit: int = 200) -> Sequence[StoredTemplate]:
        """The oldest first, ids greater than `after`. Fewer than `limit` where they would be longer than
        MAX_PAGE_CHARS (store.py), but at least one if there is any."""
        ...

    async def one(self, user_id: str, template_id: int) -> StoredTemplate: ...

    async def replace(self, user_id: str, template_id: int, template: Template) -> StoredTemplate: ...

    async def delete(self, user_id: str, template_id: int) -> None: ...
