"""`POST /ws/ticket`: tickets for the WebSocket of a browser, which cannot send an API key."""

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, Field

from gateway.web.api.dependencies import CallerIs, Gateway
from gateway.web.door.proxies import root_path_of
from gateway.web.door.ticket_subjects import SOCKET_SUBJECT


class SocketTicket(BaseModel):
    ticket: Annotated[str, Field(description="Gives access to `url` as its user, without a key.")]
    expires_in_s: Annotated[int, Field(description="Seconds. A socket that is open then stays open.")]
    url: Annotated[str, Field(description="Path of the WebSocket, relative to the gateway.")]


async def issue_ticket(request: Request, gateway: Gateway, caller: CallerIs) -> SocketTicket:
    ticket = gateway.tickets.issue(SOCKET_SUBJECT, caller.user_id, caller.key_id)
    return SocketTicket(
        ticket=ticket,
        expires_in_s=int(gateway.tickets.lifetime_s),
        url=f"{root_path_of(request.scope)}/ws?ticket={ticket}",
    )
