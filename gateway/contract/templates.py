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

    async def create(self, user_id: str, template: Template) -> StoredTemplate: ...

    async def all(self, user_id: str) -> Sequence[StoredTemplate]:
        """The oldest first."""
        ...

    async def one(self, user_id: str, template_id: int) -> StoredTemplate: ...

    async def replace(self, user_id: str, template_id: int, template: Template) -> StoredTemplate: ...

    async def delete(self, user_id: str, template_id: int) -> None: ...
