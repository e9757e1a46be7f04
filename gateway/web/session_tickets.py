"""`POST /api/chatbot/sessions/{id}/ticket`: a session's events for an EventSource, which has no headers."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from gateway.web.bodies import MAX_ID
from gateway.web.callers import caller_of
from gateway.web.gateway import Gateway
from gateway.web.paths import SESSION_PATH, session_subject


class SessionTicket(BaseModel):
    ticket: Annotated[str, Field(description="Lets its holder read this session's events, as its user.")]
    expires_in_s: Annotated[int, Field(description="A connection that stands then is not cut.")]
    url: Annotated[str, Field(description="Relative to the gateway, for an EventSource.")]


def session_tickets_router(gateway: Gateway) -> APIRouter:
    router = APIRouter(prefix="/api/chatbot", tags=["sessions"])

    @router.post("/sessions/{session_id}/ticket")
    async def issue_ticket(
        request: Request, session_id: Annotated[int, Path(ge=1, le=MAX_ID)]
    ) -> SessionTicket:
        """A ticket to listen to a session without headers. It opens nothing else."""
        user_id = caller_of(request.scope).user_id
        await gateway.store.session(user_id, session_id)
        ticket = gateway.tickets.issue(session_subject(session_id), user_id)
        return SessionTicket(
            ticket=ticket,
            expires_in_s=int(gateway.tickets.lifetime_s),
            url=f"{SESSION_PATH}{session_id}/events?ticket={ticket}",
        )

    return router
