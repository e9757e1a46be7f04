"""Types of handler parameters that FastAPI fills in, besides those from path and query."""

from typing import Annotated

from fastapi import Depends, Request

from gateway.contract.audit import Actor
from gateway.core.key_ring import Caller
from gateway.web.door.callers import caller_of
from gateway.web.services import Services

# Coroutine functions, because FastAPI calls others in a thread.


async def _services(request: Request) -> Services:
    gateway: Services = request.app.state.gateway
    return gateway


async def _caller(request: Request) -> Caller:
    return caller_of(request.scope)


async def _user_id(request: Request) -> str:
    return caller_of(request.scope).user_id


async def _actor(request: Request) -> Actor:
    caller = caller_of(request.scope)
    source = request.app.state.gateway.proxies.client_of(request.scope)
    return Actor(caller.user_id, source, caller.key_id)


Gateway = Annotated[Services, Depends(_services)]
CallerIs = Annotated[Caller, Depends(_caller)]
UserId = Annotated[str, Depends(_user_id)]
ActorIs = Annotated[Actor, Depends(_actor)]
"""The caller as the author of a change, for the audit log."""
