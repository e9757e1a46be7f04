"""Sessions and their messages, under /api/chatbot."""

from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.dialects.json_encoding import json_bytes
from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.api.exports import as_json, as_markdown, pages_of
from gateway.web.api.views import Session, attached_bytes, message_view, session_view, view_of
from gateway.web.chat.session_names import SessionName, session_id_of, session_of
from gateway.web.http.bodies import MAX_ID, RenameBody, SessionBody, parse
from gateway.web.http.endpoint import read_request
from gateway.web.http.large_bodies import unhurried
from gateway.web.relay.elsewhere import live_sessions

Name = Annotated[SessionName, Path()]


async def create_session(request: Request, gateway: Gateway, user_id: UserId) -> Session:
    raw = await read_request(gateway, request.scope, request.receive)
    body = parse(raw, SessionBody) if raw else SessionBody()
    return session_view(await gateway.store.create_session(user_id, body.title or ""))


async def list_sessions(
    gateway: Gateway,
    user_id: UserId,
    q: Annotated[
        str | None,
        Query(max_length=200, description="Only sessions whose title or messages contain this."),
    ] = None,
    before: Annotated[
        SessionName | None, Query(description="Id, uuid or key of a session: only sessions listed after it.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    all: Annotated[
        Literal["0", "1"], Query(description="`1`: agents' sessions too, which no request named.")
    ] = "0",
) -> list[Session]:
    last = None if before is None else await session_id_of(gateway.store, user_id, before)
    sessions = await gateway.store.sessions(user_id, query=q, before=last, limit=limit, hidden=all == "1")
    live = await live_sessions(gateway, [session.id for session in sessions])
    return [
        session_view(session, live=session.id in live, room=gateway.rooms.is_member(user_id, session.id))
        for session in sessions
    ]


async def get_session(gateway: Gateway, user_id: UserId, session_id: Name) -> Session:
    return await view_of(gateway, user_id, await session_of(gateway.store, user_id, session_id))


async def rename_session(request: Request, gateway: Gateway, user_id: UserId, session_id: Name) -> Session:
    body = parse(await read_request(gateway, request.scope, request.receive), RenameBody)
    id = await session_id_of(gateway.store, user_id, session_id)
    return await view_of(gateway, user_id, await gateway.store.rename_session(user_id, id, body.title))


async def delete_session(gateway: Gateway, user_id: UserId, session_id: Name) -> Response:
    session = await session_of(gateway.store, user_id, session_id)
    await gateway.stops.stop_session(session, user_id)
    await gateway.store.delete_session(user_id, session.id)
    gateway.hall.dismiss_all(session.id)
    gateway.news.close(session.id)
    for run in gateway.runs.of_session(session.id):  # begun meanwhile; their session is gone
        await gateway.runs.end(run)
    return Response(status_code=204)


async def export_session(
    gateway: Gateway,
    user_id: UserId,
    session_id: Name,
    format: Annotated[Literal["json", "md"], Query(description="`json`, or `md` for Markdown.")] = "json",
) -> StreamingResponse:
    session = await session_of(gateway.store, user_id, session_id)
    pages = pages_of(gateway.store, user_id, session.id)
    return StreamingResponse(
        as_json(session, pages) if format == "json" else as_markdown(session, pages, user_id),
        media_type="application/json" if format == "json" else "text/markdown; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="session-{session.id}.{format}"'},
    )


async def list_messages(
    gateway: Gateway,
    user_id: UserId,
    session_id: Name,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="Only ids greater than this.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    path: Annotated[
        Literal["0", "1"], Query(description="`1`: only the branch that the session shows, with `siblings`.")
    ] = "0",
) -> Response:
    id = await session_id_of(gateway.store, user_id, session_id)
    messages = await gateway.store.messages(user_id, id, after=after, limit=limit, path=path == "1")
    body = await unhurried(attached_bytes(messages), lambda: json_bytes(list(map(message_view, messages))))
    return Response(body, media_type="application/json")
