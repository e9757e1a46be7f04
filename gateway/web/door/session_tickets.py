"""`POST /api/chatbot/sessions/{id}/ticket`: a session's events for an EventSource, which has no headers."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from gateway.web.chat.session_names import SessionName, session_of
from gateway.web.door.callers import caller_of
from gateway.web.door.proxies import root_path_of
from gateway.web.http.paths import SESSION_PATH, session_subject
from gateway.web.services import Services


class SessionTicket(BaseModel):
    ticket: Annotated[str, Field(description="Lets its holder read this session's events, as its user.")]
    expires_in_s: Annotated[int, Field(description="A connection that stands then is not cut.")]
    url: Annotated[str, Field(description="Relative to the gateway, for an EventSource.")]


def session_tickets_router(gateway: Services) -> APIRouter:
    router = APIRouter(prefix="/api/chatbot", tags=["sessions"])

    @router.post("/sessions/{session_id}/ticket")
    async def issue_ticket(request: Request, session_id: Annotated[SessionName, Path()]) -> SessionTicket:
        """A ticket to listen to a session without headers. It opens `url` and nothing else."""
        user_id = caller_of(request.scope).user_id
        await session_of(gateway.store, user_id, session_id)
        ticket = gateway.tickets.issue(session_subject(session_id), user_id)
        path = f"{root_path_of(request.scope)}{SESSION_PATH}{quote(session_id, safe='')}/events"
        return SessionTicket(
            ticket=ticket,
            expires_in_s=int(gateway.tickets.lifetime_s),
            url=f"{path}?ticket={ticket}",
        )

    return router
