"""`POST /api/chatbot/sessions/{id}/ticket`: tickets for EventSource, which cannot send an API key."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Request
from pydantic import BaseModel, Field

from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.chat.session_names import SessionName, session_of
from gateway.web.door.proxies import root_path_of
from gateway.web.door.ticket_subjects import session_subject


class SessionTicket(BaseModel):
    ticket: Annotated[
        str, Field(description="Gives access to this session's events as its user, without a key.")
    ]
    expires_in_s: Annotated[int, Field(description="Seconds. A connection that is open then stays open.")]
    url: Annotated[str, Field(description="URL for an EventSource, relative to the gateway.")]


async def issue_ticket(
    request: Request, gateway: Gateway, user_id: UserId, session_id: Annotated[SessionName, Path()]
) -> SessionTicket:
    await session_of(gateway.store, user_id, session_id)
    ticket = gateway.tickets.issue(session_subject(session_id), user_id)
    path = f"{root_path_of(request.scope)}/api/chatbot/sessions/{quote(session_id, safe='')}/events"
    return SessionTicket(
        ticket=ticket,
        expires_in_s=int(gateway.tickets.lifetime_s),
        url=f"{path}?ticket={ticket}",
    )
