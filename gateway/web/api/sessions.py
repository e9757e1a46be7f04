"""Sessions and their messages, under /api/chatbot."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.web.api.exports import Export, as_json, as_markdown, pages_of
from gateway.web.api.views import Message, Session, StreamState, message_view, session_view
from gateway.web.chat.messages import stop
from gateway.web.chat.session_names import SessionName, session_id_of, session_of
from gateway.web.description.schemas import body_of
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import read_body
from gateway.web.http.bodies import MAX_ID, RenameBody, SessionBody, parse
from gateway.web.http.paths import STREAM_PATHS
from gateway.web.services import Services

Name = Annotated[SessionName, Path()]


def sessions_router(gateway: Services) -> APIRouter:
    router = APIRouter(prefix="/api/chatbot", tags=["sessions"])

    @router.post(
        "/sessions",
        status_code=201,
        openapi_extra=body_of(SessionBody, required=False),
    )
    async def create_session(request: Request) -> Session:
        """Start an empty session; its title is made from the first message when none is given."""
        raw = await read_body(request.receive, gateway.max_body_bytes, gateway.body_timeout_s)
        body = parse(raw, SessionBody) if raw else SessionBody()
        return session_view(
            await gateway.store.create_session(caller_of(request.scope).user_id, body.title or "")
        )

    @router.get("/sessions")
    async def list_sessions(
        request: Request,
        q: Annotated[str | None, Query(max_length=200, description="Part of the title.")] = None,
        before: Annotated[
            SessionName | None, Query(description="A session's id, uuid or key: only what stands after it.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[Session]:
        """The latest first."""
        user_id = caller_of(request.scope).user_id
        last = None if before is None else await session_id_of(gateway.store, user_id, before)
        sessions = await gateway.store.sessions(user_id, query=q, before=last, limit=limit)
        return [session_view(session) for session in sessions]

    @router.get("/sessions/{session_id}")
    async def get_session(request: Request, session_id: Name) -> Session:
        user_id = caller_of(request.scope).user_id
        return session_view(await session_of(gateway.store, user_id, session_id))

    @router.patch(
        "/sessions/{session_id}",
        openapi_extra=body_of(RenameBody),
    )
    async def rename_session(request: Request, session_id: Name) -> Session:
        """Give it another title."""
        body = parse(
            await read_body(request.receive, gateway.max_body_bytes, gateway.body_timeout_s), RenameBody
        )
        user_id = caller_of(request.scope).user_id
        id = await session_id_of(gateway.store, user_id, session_id)
        return session_view(await gateway.store.rename_session(user_id, id, body.title))

    @router.delete("/sessions/{session_id}", status_code=204)
    async def delete_session(request: Request, session_id: Name) -> Response:
        """With all its messages. Replies that are being made are stopped first."""
        user_id = caller_of(request.scope).user_id
        session = await session_of(gateway.store, user_id, session_id)
        for run in gateway.runs.of_session(session.id):
            await gateway.runs.stop(run.stream_id, user_id)
        await gateway.store.delete_session(user_id, session.id)
        for run in gateway.runs.of_session(session.id):  # begun meanwhile: nobody could read them
            await gateway.runs.stop(run.stream_id, user_id)
        return Response(status_code=204)

    @router.get(
        "/sessions/{session_id}/export",
        response_class=StreamingResponse,
        responses={
            200: {"model": Export, "content": {"text/markdown": {"schema": {"type": "string"}}}},
        },
    )
    async def export_session(
        request: Request,
        session_id: Name,
        format: Annotated[Literal["json", "md"], Query(description="JSON, or Markdown for people.")] = "json",
    ) -> StreamingResponse:
        """All of it, as a download."""
        user_id = caller_of(request.scope).user_id
        session = await session_of(gateway.store, user_id, session_id)
        export = as_json if format == "json" else as_markdown
        return StreamingResponse(
            export(session, pages_of(gateway.store, user_id, session.id)),
            media_type="application/json" if format == "json" else "text/markdown; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="session-{session.id}.{format}"'},
        )

    @router.get("/sessions/{session_id}/messages")
    async def list_messages(
        request: Request,
        session_id: Name,
        after: Annotated[int, Query(ge=0, le=MAX_ID, description="Only ids greater than this.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> list[Message]:
        """The oldest first. Large ones come in fewer than `limit`: go on with `after` until none come."""
        user_id = caller_of(request.scope).user_id
        id = await session_id_of(gateway.store, user_id, session_id)
        messages = await gateway.store.messages(user_id, id, after=after, limit=limit)
        return [message_view(message) for message in messages]

    return router


def streams_router(gateway: Services) -> APIRouter:
    """What can be done with a stream that runs, under both of its addresses."""
    router = APIRouter(tags=["streams"])

    async def stop_stream(request: Request, stream_id: str) -> StreamState:
        """Stop the reply; what it said so far is kept. Again: the same answer."""
        return await stop(gateway, stream_id, caller_of(request.scope).user_id)

    for path, name in zip(STREAM_PATHS, ("stream", "chatbot_stream"), strict=True):
        one = f"{path}/{{stream_id}}"
        router.add_api_route(f"{one}/stop", stop_stream, methods=["POST"], operation_id=f"stop_{name}")
        router.add_api_route(one, stop_stream, methods=["DELETE"], operation_id=f"delete_{name}")
    return router
