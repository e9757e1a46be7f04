"""Endpoints for sessions, their messages and their events."""

from fastapi.responses import StreamingResponse

from gateway.web.api import session_tickets, sessions
from gateway.web.api.exports import Export
from gateway.web.api.session_events import SessionEvents
from gateway.web.api.views import Message
from gateway.web.description.streams import session_events
from gateway.web.door.ticket_subjects import session_subject
from gateway.web.http.bodies import RenameBody, SessionBody
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, JsonEndpoint

_ALL = "/api/chatbot/sessions"
_ONE = "/api/chatbot/sessions/{session_id}"

SESSIONS: tuple[Endpoint, ...] = (
    JsonEndpoint(
        method="GET",
        path=_ALL,
        handler=sessions.list_sessions,
        name="list_sessions",
        summary="The caller's sessions",
        description="The latest first.",
        tag="sessions",
    ),
    JsonEndpoint(
        method="POST",
        path=_ALL,
        handler=sessions.create_session,
        name="create_session",
        summary="Start an empty session",
        description="Without a title, the first message becomes the title.",
        tag="sessions",
        body=SessionBody,
        body_required=False,
        status=201,
    ),
    JsonEndpoint(
        method="GET",
        path=_ONE,
        handler=sessions.get_session,
        name="get_session",
        summary="One session",
        description="Without its messages.",
        tag="sessions",
    ),
    JsonEndpoint(
        method="PATCH",
        path=_ONE,
        handler=sessions.rename_session,
        name="rename_session",
        summary="Rename a session",
        description="Changes only the title.",
        tag="sessions",
        body=RenameBody,
    ),
    JsonEndpoint(
        method="DELETE",
        path=_ONE,
        handler=sessions.delete_session,
        name="delete_session",
        summary="Delete a session",
        description="Deletes all its messages too. Its replies that are being generated are stopped first.",
        tag="sessions",
        status=204,
    ),
    JsonEndpoint(
        method="GET",
        path=f"{_ONE}/messages",
        handler=sessions.list_messages,
        name="list_messages",
        summary="The messages of a session",
        description="The oldest first. A page of large messages may have fewer than `limit`: continue with "
        "`after` until a page is empty.",
        tag="sessions",
        answer=list[Message],
    ),
    JsonEndpoint(
        method="GET",
        path=f"{_ONE}/export",
        handler=sessions.export_session,
        name="export_session",
        summary="Download a session",
        description="With all messages, as JSON or Markdown.",
        tag="sessions",
        response_class=StreamingResponse,
        responses={200: {"model": Export, "content": {"text/markdown": {"schema": {"type": "string"}}}}},
    ),
    JsonEndpoint(
        method="POST",
        path=f"{_ONE}/ticket",
        handler=session_tickets.issue_ticket,
        name="issue_ticket",
        summary="A ticket for a session's events",
        description="The ticket gives access to `url` without an API key, and to nothing else.",
        tag="sessions",
    ),
    AsgiEndpoint(
        method="GET",
        path=f"{_ONE}/events",
        handler=SessionEvents,
        name="session_events",
        summary="Stream the events of a session",
        description="Server-Sent Events without an end, for other clients of the session: messages of users, "
        "replies that begin, replies that end.",
        tag="sessions",
        ticket=session_subject,
        answers={"200": session_events()},
        refuses=(404, 503),
    ),
)
