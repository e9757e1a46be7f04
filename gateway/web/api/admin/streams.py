"""`/api/admin/streams`: lists and stops running replies of all users."""

from contextlib import suppress
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, Field

from gateway.contract.audit import Change
from gateway.contract.errors import NotFound, StorageFailed
from gateway.contract.reply_owners import ReplyElsewhere
from gateway.core.run import GOES_ON_ELSEWHERE, Run
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
    dialect: Annotated[
        str, Field(description="Of the client that asked; `device` for a device, empty at another gateway.")
    ]
    age_s: Annotated[float, Field(description="Seconds since the question.")]
    chars: Annotated[int, Field(description="Length of the text so far.")]
    readers: Annotated[
        int | None, Field(description="Clients that read it now; null for a reply of another gateway.")
    ]
    gateway: Annotated[
        str | None, Field(description="Name of the other gateway that generates it; null: this one.")
    ] = None


async def list_streams(gateway: Gateway, user: User = None, limit: Limit = 1000) -> list[StreamView]:
    running = [run for run in gateway.runs.all() if user is None or run.user_id == user]
    streams = [stream_view(run) for run in running[:limit]]
    if gateway.relay is not None:
        with suppress(StorageFailed):  # then only those of this gateway are known
            streams += map(_view_elsewhere, await gateway.relay.owners.all_elsewhere(limit, user))
        streams.sort(key=lambda stream: -stream.age_s)
    return streams[:limit]


async def stop_stream(gateway: Gateway, actor: ActorIs, stream_id: str) -> Response:
    run = next((run for run in gateway.runs.all() if run.stream_id == stream_id), None)
    if run is None:
        await _stop_elsewhere(gateway, actor, stream_id)
        return Response(status_code=204)
    await gateway.audit_log.record(Change(actor, "stream.stop", stream_id, {"user": run.user_id}))
    if await gateway.runs.end(run) in GOES_ON_ELSEWHERE:
        await gateway.stops.stop(stream_id, run.user_id)
    return Response(status_code=204)


async def _stop_elsewhere(gateway: Gateway, actor: ActorIs, stream_id: str) -> None:
    owners = None if gateway.relay is None else gateway.relay.owners
    found = () if owners is None else await owners.all_elsewhere(1, stream_id=stream_id)
    if not found:
        raise NotFound("No such stream is running.")
    user_id = found[0].user_id
    await gateway.audit_log.record(Change(actor, "stream.stop", stream_id, {"user": user_id}))
    await gateway.stops.stop(stream_id, user_id)


def _view_elsewhere(reply: ReplyElsewhere) -> StreamView:
    return StreamView(
        id=reply.stream_id,
        user=reply.user_id,
        session_id=reply.session_id,
        session_key=reply.session_key,
        mode=reply.mode,
        dialect="",
        age_s=round(reply.age_s, 1),
        chars=reply.chars,
        readers=None,
        gateway=reply.gateway,
    )


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
