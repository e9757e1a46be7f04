"""`GET /api/admin/audit`: the audit log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from gateway.contract.audit import StoredChange
from gateway.web.api.admin.authors import Author, author_of
from gateway.web.api.dependencies import Gateway
from gateway.web.http.bodies import MAX_ID

Before = Annotated[int | None, Query(ge=1, le=MAX_ID, description="Only ids less than this.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class ChangeView(BaseModel):
    """One change. detail: further values, which depend on the action."""

    id: int
    at: datetime
    by: Author
    action: Annotated[str, Field(examples=["mode.switch"])]
    subject: str
    detail: Mapping[str, Any]


async def list_changes(gateway: Gateway, before: Before = None, limit: Limit = 100) -> list[ChangeView]:
    changes = await gateway.audit_log.changes(before=before, limit=limit)
    return [_view(stored) for stored in changes]


def _view(stored: StoredChange) -> ChangeView:
    change = stored.change
    return ChangeView(
        id=stored.id,
        at=stored.at,
        by=author_of(change.actor),
        action=change.action,
        subject=change.subject,
        detail=change.detail,
    )
