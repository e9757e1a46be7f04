"""Templates, each a named system prompt with settings, and the interface of their store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.contract.requests import Sampling


@dataclass(frozen=True, slots=True)
class Template:
    """Default values for messages that name the template; fields of the message override them."""

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
    """Each template belongs to one user; another user's raises NotFound, as if it did not exist.

    Each method raises StorageFailed if the database does not answer or refuses. When it returns, its change
    is committed.
    """

    async def create(self, user_id: str, template: Template) -> StoredTemplate:
        """Store a template. Raises QuotaReached if the user has the maximum number of templates."""
        ...

    async def all(self, user_id: str, *, after: int = 0, limit: int = 200) -> Sequence[StoredTemplate]:
        """Return templates with ids greater than `after`, oldest first: at most `limit`, and fewer if they
        exceed MAX_PAGE_CHARS (store.py) together, but at least one if there is any."""
        ...

    async def one(self, user_id: str, template_id: int) -> StoredTemplate: ...

    async def replace(self, user_id: str, template_id: int, template: Template) -> StoredTemplate: ...

    async def delete(self, user_id: str, template_id: int) -> None: ...
