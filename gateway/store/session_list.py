"""Selects a page of a user's sessions, all or those in which a text is found."""

from typing import Any

from sqlalchemy import Row, Select, not_, or_, select, tuple_

from gateway.contract.threads import HIDDEN_PREFIX
from gateway.store.tables import messages, sessions


def listed(
    user_id: str, *, query: str | None, before: Row[Any] | None, limit: int, hidden: bool
) -> Select[Any]:
    """Return the statement of MessageStore.sessions. before: the row after which the page begins."""
    wanted = select(sessions).where(sessions.c.user_id == user_id)
    if not hidden:
        of_agents = sessions.c.thread.startswith(HIDDEN_PREFIX, autoescape=True)
        wanted = wanted.where(or_(sessions.c.thread.is_(None), not_(of_agents)))
    if query:
        in_title = sessions.c.title_folded.contains(query.casefold(), autoescape=True)
        in_text = (
            select(messages.c.id)
            .where(
                messages.c.session_id == sessions.c.id, messages.c.content.icontains(query, autoescape=True)
            )
            .exists()
        )
        wanted = wanted.where(or_(in_title, in_text))
    if before is not None:
        place = tuple_(sessions.c.updated_at, sessions.c.id)
        wanted = wanted.where(place < (before.updated_at, before.id))
    return wanted.order_by(sessions.c.updated_at.desc(), sessions.c.id.desc()).limit(limit)
