"""`/api/admin/streams`: lists and stops running replies of all users."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, Field

from gateway.contract.audit import Change
from gateway.contract.errors import NotFound
from gateway.core.run import Run
from gateway.web.api.dependencies import ActorIs, Gateway

User = Annotated[str | None, Query(description="Only those of this user.")]
Limit = Annotated[int, Query(ge=1, le=10_000)]


class StreamView(BaseModel):
    """One running reply."""

    id: str
    user: str
    session_id: Annotated[int, Field(description="0 for a test of a template, which is not stored.")]
    session_key: str
    mode: Annotated[str | None, Field(description="Of the transport that has the request.")]
    dialect: Annotated[str, Field(description="Of the client that asked; `device` for a device.")]
    age_s: Annotated[float, Field(description="Seconds since the question.")]
    chars: Annotated[int, Field(description="Length of the text so far.")]
    readers: Annotated[int, Field(description="Clients that read it now.")]


async def list_streams(gateway: Gateway, user: User = None, limit: Limit = 1000) -> list[StreamView]:
    running = [run for run in gateway.runs.all() if user is None or run.user_id == user]
    return [stream_view(run) for run in running[:limit]]


async def stop_stream(gateway: Gateway, actor: ActorIs, stream_id: str) -> Response:
    run = next((run for run in gateway.runs.all() if run.stream_id == stream_id), None)
    if run is None:
        raise NotFound("No such stream is running.")
    await gateway.audit_log.record(Change(actor, "stream.stop", stream_id, {"user": run.user_id}))
    await gateway.runs.end(run)
    return Response(status_code=204)


def stream_view(run: Run) -> StreamView:
    so_far = None if run.production is None else run.production()
    return StreamView(
        id=run.stream_id,
        user=run.user_id,
        session_id=run.exchange.session_id,
        session_key=run.exchange.session_key,
        mode=None if so_far is None else so_far.mode,
        dialect=run.dialect,
        age_s=0 if so_far is None else round(so_far.age_s, 1),
        chars=0 if so_far is None else so_far.chars,
        readers=run.readers,
    )
