"""Chooses the branch that a session shows."""

from typing import Annotated

from fastapi import Path

from gateway.core.session_news import BranchChosen
from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.api.views import Session, view_of
from gateway.web.http.bodies import MAX_ID


async def choose_branch(
    gateway: Gateway, user_id: UserId, message_id: Annotated[int, Path(ge=1, le=MAX_ID)]
) -> Session:
    session = await gateway.store.choose(user_id, message_id)
    gateway.news.publish(session.id, BranchChosen(session.leaf_id))
    return await view_of(gateway, user_id, session)
